// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"
	"testing"

	"github.com/prometheus/procfs"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
)

// The parent of PR_SET_PDEATHSIG is the thread that forked.
func TestChildSurvivesTheThreadThatStartedIt(t *testing.T) {
	var p *Process
	thread, end := make(chan int), make(chan struct{})
	go onEndingThread(func() {
		p = startShell(t, "trap 'echo alive' USR1; echo ready; while :; do sleep 0.01; done", nil)
		thread <- syscall.Gettid()
		<-end
	})
	task := fmt.Sprintf("/proc/self/task/%d", <-thread)
	awaitLine(t, p, "ready")
	close(end)
	eventually(t, "the end of the thread", func() bool {
		_, err := os.Stat(task)
		return os.IsNotExist(err)
	})
	// A pending SIGKILL arrives before this signal.
	expect.NoError(t, p.signal(syscall.SIGUSR1))
	awaitLine(t, p, "alive")
}

// onEndingThread calls f on a thread that ends after f. It is not the main thread, which never ends.
func onEndingThread(f func()) {
	runtime.LockOSThread()
	if syscall.Gettid() != os.Getpid() {
		f()
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		onEndingThread(f)
	}()
	<-done
	runtime.UnlockOSThread()
}

func TestPauseAndResume(t *testing.T) {
	p := shell(t, "echo ready; exec sleep 1000")
	expect.NoError(t, p.Pause())
	eventually(t, "the stop", func() bool { return state(t, p) == "T" })
	expect.True(t, p.Running(), "a paused process counts as ended")
	expect.NoError(t, p.Resume())
	eventually(t, "the continuation", func() bool { return state(t, p) == "S" })
}

func TestUsage(t *testing.T) {
	p := shell(t, "head -c 1000000 /dev/zero >/dev/null; echo ready; while :; do :; done")
	var last Usage
	eventually(t, "CPU time grows", func() (grown bool) {
		var err error
		last, err = p.Usage()
		expect.NoError(t, err)
		return last.CPU >= 3*tick
	})
	expect.True(t, last.RSS > 0 && last.PeakRSS >= last.RSS, "memory %d, peak %d", last.RSS, last.PeakRSS)
	expect.True(t, last.Read >= 1_000_000 && last.Read <= 1_100_000,
		"%d bytes read, want a million and the programs' libraries", last.Read)
	expect.NoError(t, p.Kill())
	final, err := p.Usage()
	expect.NoError(t, err)
	expect.True(t, final.CPU >= last.CPU-tick && final.RSS == 0 && final.PeakRSS == 0,
		"after its end %+v, before %+v", final, last)
}

// state is the process's state as ps(1) shows it.
func state(t *testing.T, p *Process) string {
	t.Helper()
	proc, err := procfs.NewProc(p.PID())
	expect.NoError(t, err)
	stat, err := proc.Stat()
	expect.NoError(t, err)
	return stat.State
}

// eventually waits until the condition holds.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	expect.Eventually(t, what, timeout, func(context.Context) error {
		if !condition() {
			return errors.New("did not happen")
		}
		return nil
	})
}
