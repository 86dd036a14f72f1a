// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/cert-manager/cert-manager/pkg/controller"
)

// defaultControllers are those that issue and renew Certificates, with the issuers that need no
// external service. The certificate-shims and the signers of Kubernetes CertificateSigningRequests
// are off by default.
var defaultControllers = []string{
	"certificates-*",
	"certificaterequests-*",
	"issuers",
	"clusterissuers",
}

func knownControllers() []string {
	return slices.Sorted(maps.Keys(controller.Known()))
}

// selectControllers returns the known names that match a pattern (syntax of path.Match), but no
// pattern with a leading '-'. As in cert-manager's flag, only exclusions mean the defaults without
// them. A pattern that matches nothing is an error, because it is probably a typing error.
func selectControllers(patterns, known []string) ([]string, error) {
	included, excluded := splitPatterns(patterns)
	if len(included) == 0 {
		included = defaultControllers
	}
	selected, err := matching(included, known)
	if err != nil {
		return nil, err
	}
	dropped, err := matching(excluded, known)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(selected, func(name string) bool { return slices.Contains(dropped, name) }), nil
}

func splitPatterns(patterns []string) (included, excluded []string) {
	for _, pattern := range patterns {
		if name, ok := strings.CutPrefix(pattern, "-"); ok {
			excluded = append(excluded, name)
		} else {
			included = append(included, pattern)
		}
	}
	return included, excluded
}

func matching(patterns, known []string) ([]string, error) {
	var names []string
	for _, pattern := range patterns {
		found := false
		for _, name := range known {
			ok, err := path.Match(pattern, name)
			if err != nil {
				return nil, fmt.Errorf("pattern %q: %w", pattern, err)
			}
			if ok {
				found = true
				names = append(names, name)
			}
		}
		if !found {
			return nil, fmt.Errorf("no controller is called %q; known are %s", pattern, strings.Join(known, ", "))
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}
