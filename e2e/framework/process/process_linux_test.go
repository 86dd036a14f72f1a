// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
)

// The parent of PR_SET_PDEATHSIG is the thread that forked.
func TestChildSurvivesTheThreadThatStartedIt(t *testing.T) {
	sign := newReadyPipe(t)
	script := "exec 9>" + sign.path + "; trap 'echo alive >&9' USR1; echo ready >&9; while :; do sleep 0.01; done"
	var p *Process
	thread, end := make(chan int), make(chan struct{})
	go onEndingThread(func() {
		p = startShell(t, script, nil)
		thread <- syscall.Gettid()
		<-end
	})
	task := fmt.Sprintf("/proc/self/task/%d", <-thread)
	sign.awaitReady()
	close(end)
	eventually(t, "the end of the thread", func() bool {
		_, err := os.Stat(task)
		return os.IsNotExist(err)
	})
	// A pending SIGKILL arrives before this signal.
	expect.NoError(t, p.signal(syscall.SIGUSR1))
	if err := sign.awaitLine("alive"); err != nil {
		t.Errorf("the child ended with the thread: %v", err)
	}
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
	p := shell(t, "READY; exec sleep 1000")
	expect.NoError(t, p.Pause())
	eventually(t, "the stop", func() bool { return state(t, p) == "T" })
	if !p.Running() {
		t.Error("a paused process counts as ended")
	}
	expect.NoError(t, p.Resume())
	eventually(t, "the continuation", func() bool { return state(t, p) == "S" })
}

func TestUsage(t *testing.T) {
	p := shell(t, "head -c 1000000 /dev/zero >/dev/null; READY; while :; do :; done")
	var last Usage
	eventually(t, "CPU time grows", func() bool {
		usage, err := p.Usage()
		expect.NoError(t, err)
		last = usage
		return usage.CPU >= 3*tick
	})
	if last.RSS <= 0 || last.PeakRSS < last.RSS {
		t.Errorf("memory %d, peak %d", last.RSS, last.PeakRSS)
	}
	if last.Read < 1_000_000 || last.Read > 1_100_000 {
		t.Errorf("%d bytes read, want a million and the programs' libraries", last.Read)
	}
	expect.NoError(t, p.Kill())
	final, err := p.Usage()
	expect.NoError(t, err)
	if final.CPU < last.CPU-tick || final.RSS != 0 || final.PeakRSS != 0 {
		t.Errorf("after its end %+v, before %+v", final, last)
	}
}

func TestParseStat(t *testing.T) {
	const stat = "7 (a) b (c)) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0"
	if got, err := parseStat(stat); err != nil || got != 2*time.Second {
		t.Errorf("got %v, %v", got, err)
	}
	for _, stat := range []string{"", "7 (a) S 1 2 3", strings.Replace(stat, "150", "x", 1), strings.Replace(stat, "50 0", "x 0", 1)} {
		if got, err := parseStat(stat); err == nil {
			t.Errorf("%q gave %v", stat, got)
		}
	}
}

// state is the process's state as ps(1) shows it.
func state(t *testing.T, p *Process) string {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.PID()))
	expect.NoError(t, err)
	return strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))[0]
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
