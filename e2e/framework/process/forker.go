// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"os/exec"
	"runtime"
	"sync"
)

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
