// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux && !lifeline

package process

import (
	"os/exec"
	"runtime"
	"sync"
	"syscall"
)

// startBound starts cmd so that it ends with this process. It has its own process group, so that
// Ctrl-C in a terminal signals only this process, which then stops its children in order. release
// must be called after cmd has ended.
func startBound(cmd *exec.Cmd) (release func(), err error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	return func() {}, startOnForker(cmd)
}

// forker runs every fork of this package on one OS thread that never ends, because PR_SET_PDEATHSIG
// kills a child when the forking thread ends, and the Go runtime may end other threads at any time.
var forker = sync.OnceValue(func() chan<- func() {
	work := make(chan func())
	go func() {
		runtime.LockOSThread()
		for fork := range work {
			fork()
		}
	}()
	return work
})

func startOnForker(cmd *exec.Cmd) error {
	result := make(chan error, 1)
	forker() <- func() { result <- cmd.Start() }
	return <-result
}
