// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux && !lifeline

package process

import (
	"os/exec"
	"syscall"
)

// startBound starts cmd so that it ends with this process. It has its own process group, so that
// Ctrl-C in a terminal signals only this process, which then stops its children in order. release
// must be called after cmd has ended.
func startBound(cmd *exec.Cmd) (release func(), err error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	return func() {}, startOnForker(cmd)
}
