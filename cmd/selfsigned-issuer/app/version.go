// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"fmt"
	"runtime/debug"
)

// version returns what the Go toolchain recorded when it built the binary: the module's
// version, made from the git tag or commit, and the Go version.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown (built without module information)"
	}
	return fmt.Sprintf("%s (%s)", info.Main.Version, info.GoVersion)
}
