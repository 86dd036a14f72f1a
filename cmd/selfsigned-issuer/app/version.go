// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// version is the module's version and the Go version.
func version() string { return fmt.Sprintf("%s (%s)", moduleVersion(), runtime.Version()) }

// moduleVersion returns what the Go toolchain recorded when it built the binary, made from
// the git tag or commit.
func moduleVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	return info.Main.Version
}
