// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

// Command release writes a new version into the manifests, the chart, the pages and the
// changelog: `make release-prepare`.
package main

import (
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/cert-manager/selfsigned-issuer/e2e/release"
)

func main() {
	var r release.Release
	flag.StringVar(&r.Version, "version", "", "the version, such as v0.1.0")
	flag.StringVar(&r.Registry, "registry", "", "the registry and the organization that publish it")
	root := flag.String("root", "..", "the repository")
	flag.Parse()
	if err := r.Prepare(*root, time.Now().UTC()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
