// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"crypto/fips140"
	"fmt"
	"runtime"
	"runtime/debug"
)

// version returns the versions of the module, Go and the FIPS 140-3 module, if enabled.
func version() string {
	var fips string
	if fips140.Enabled() {
		fips = ", FIPS 140-3 module " + fips140.Version()
	}
	return fmt.Sprintf("%s (%s%s)", moduleVersion(), runtime.Version(), fips)
}

// moduleVersion returns the version that the Go toolchain has derived from the git tag or commit.
func moduleVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	return info.Main.Version
}
