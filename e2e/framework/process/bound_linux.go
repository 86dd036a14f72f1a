// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux && !lifeline

package process

import (
	"os/exec"
	"syscall"
)

// startBound starts cmd so that it dies with this process, in a process group of its own:
// a terminal's Ctrl-C reaches only this process, which then stops its children in order.
// The returned function is called after cmd has ended.
func startBound(cmd *exec.Cmd) (release func(), err error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	return func() {}, startOnForker(cmd)
}
