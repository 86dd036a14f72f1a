// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"crypto/fips140"
	"fmt"
	"runtime"
	"runtime/debug"
)

// version is the module's version, the Go version, and whether cryptography is restricted.
func version() string {
	var restricted string
	if fips140.Enabled() {
		restricted = ", FIPS 140-3 module " + fips140.Version()
	}
	return fmt.Sprintf("%s (%s%s)", moduleVersion(), runtime.Version(), restricted)
}

// moduleVersion returns what the Go toolchain recorded when it built the binary, made from
// the git tag or commit.
func moduleVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	return info.Main.Version
}
