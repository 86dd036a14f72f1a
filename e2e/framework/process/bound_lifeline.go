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

// startBound starts cmd so that it dies with this process, in a process group of its own:
// a terminal's Ctrl-C reaches only this process, which then stops its children in order.
// The returned function is called after cmd has ended.
//
// The lifeline is a pipe whose writing end only this process holds. A shell reads from it
// and kills the child when the pipe closes. It is best effort: between the start of the
// child and that of its shell, and after the shell was killed, nothing watches. The build
// tag lifeline selects this way on Linux too, so that it can be tested there.
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
		// First the shell, then the pipe: the other way round it would signal a process
		// id that is free again.
		_ = shell.Process.Kill()
		_ = shell.Wait()
		_ = writer.Close()
	}, nil
}
