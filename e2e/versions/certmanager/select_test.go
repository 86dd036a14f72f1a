// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"
	"strings"
	"testing"
)

func TestSelectControllers(t *testing.T) {
	everyDefault := []string{
		"certificaterequests-approver",
		"certificaterequests-issuer-ca",
		"certificaterequests-issuer-selfsigned",
		"certificates-issuing",
		"certificates-key-manager",
		"certificates-metrics",
		"certificates-readiness",
		"certificates-request-manager",
		"certificates-revision-manager",
		"certificates-trigger",
		"clusterissuers",
		"issuers",
	}
	without := func(name string) []string {
		return slices.DeleteFunc(slices.Clone(everyDefault), func(n string) bool { return n == name })
	}
	tests := map[string]struct {
		patterns []string
		want     []string
	}{
		"defaults":           {defaultControllers, everyDefault},
		"one by name":        {[]string{"issuers"}, []string{"issuers"}},
		"pattern and a name": {[]string{"*-shim", "issuers"}, []string{"gateway-shim", "ingress-shim", "issuers"}},
		"named twice":        {[]string{"issuers", "issuer*"}, []string{"issuers"}},
		"exclusion alone":    {[]string{"-certificaterequests-issuer-selfsigned"}, without("certificaterequests-issuer-selfsigned")},
		"exclusion wins":     {[]string{"-issuers", "issuers", "clusterissuers"}, []string{"clusterissuers"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := selectControllers(test.patterns, knownControllers())
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

func TestSelectControllersRefusesUnknownNames(t *testing.T) {
	for _, pattern := range []string{"bogus", "-bogus", "certificate"} {
		_, err := selectControllers([]string{pattern}, knownControllers())
		name := strings.TrimPrefix(pattern, "-")
		if err == nil || !strings.Contains(err.Error(), `no controller is called "`+name+`"; known are certificaterequests-approver, `) {
			t.Errorf("pattern %q: unhelpful error: %v", pattern, err)
		}
	}
}
