// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build unix && (!linux || lifeline)

package process

import (
	"errors"
	"os"
	"os/exec"
	"strconv"
	"syscall"
)

// startBound starts cmd so that it ends with this process. It has its own process group, so that
// Ctrl-C in a terminal signals only this process, which then stops its children in order. release
// must be called after cmd has ended.
//
// A shell reads from a pipe, of which only this process has the write end, and kills the child when
// it is closed. This does not work before the shell is started or after it is killed. The build tag
// lifeline selects this implementation on Linux, for tests.
func startBound(cmd *exec.Cmd) (release func(), err error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	release, err = watch(cmd.Process.Pid)
	if err != nil {
		return nil, errors.Join(err, cmd.Process.Kill(), cmd.Wait())
	}
	return release, nil
}

func watch(pid int) (release func(), err error) {
	reader, writer, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	shell := exec.Command("/bin/sh", "-c", `read -r _; kill -KILL "$1"`, "sh", strconv.Itoa(pid))
	shell.Stdin = reader
	shell.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := shell.Start(); err != nil {
		return nil, errors.Join(err, writer.Close())
	}
	return func() {
		// The shell first: after the pipe is closed, it would kill a process ID that may be reused.
		_ = shell.Process.Kill()
		_ = shell.Wait()
		_ = writer.Close()
	}, nil
}
