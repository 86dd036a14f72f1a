// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
)

// timeout is how long a process may take to do what a test asks for.
const timeout = time.Minute

// shell starts a shell that is not expected to end by itself, and waits until it prints "ready".
func shell(t *testing.T, script string) *Process {
	t.Helper()
	p := startShell(t, script, func(err error) { t.Errorf("reported: %v", err) })
	awaitLine(t, p, "ready")
	return p
}

func startShell(t *testing.T, script string, onUnexpectedExit func(error)) *Process {
	t.Helper()
	p, err := Start(Options{
		Name: "child", Path: "/bin/sh", Args: []string{"-c", script},
		LogFile: filepath.Join(t.TempDir(), "log"), OnUnexpectedExit: onUnexpectedExit,
	})
	expect.NoError(t, err)
	t.Cleanup(func() { _ = p.Kill() })
	return p
}

// awaitLine waits until the last line of the log is as wanted.
func awaitLine(t *testing.T, p *Process, want string) {
	t.Helper()
	expect.Eventually(t, want, timeout, func(context.Context) error {
		if got := p.Tail(1); got != want {
			return fmt.Errorf("the last line is %q", got)
		}
		return nil
	})
}

func TestExpectedEnd(t *testing.T) {
	for name, test := range map[string]struct {
		onTerm, want string
		end          func(*Process) error
	}{
		"by itself":      {"exit 3", "exit status 3", func(p *Process) error { return p.Stop(timeout) }},
		"not by itself":  {"", "signal: killed", func(p *Process) error { return p.Stop(time.Millisecond) }},
		"paused":         {"exit 3", "exit status 3", func(p *Process) error { return errors.Join(p.Pause(), p.Stop(timeout)) }},
		"paused, killed": {"", "signal: killed", func(p *Process) error { return errors.Join(p.Pause(), p.Kill()) }},
	} {
		t.Run(name, func(t *testing.T) {
			p := shell(t, "trap '"+test.onTerm+"' TERM; echo ready; while :; do sleep 0.01; done")
			expect.NoError(t, test.end(p))
			expect.True(t, !p.Running(), "it is still running")
			expect.NoError(t, p.Err())
			expect.Equal(t, "ExitError", test.want, fmt.Sprint(p.ExitError()))
			expect.NoError(t, p.Stop(timeout))
			if err := p.Resume(); err == nil || !strings.Contains(err.Error(), "it has ended") {
				t.Errorf("resumed after its end: %v", err)
			}
		})
	}
}

func TestUnexpectedEndIsReported(t *testing.T) {
	for name, test := range map[string]struct{ end, reason string }{
		"failure": {"exit 7", "exit status 7"},
		"success": {"exit 0", "exit status 0"},
		"signal":  {"kill -ABRT $$", "signal: aborted"},
	} {
		t.Run(name, func(t *testing.T) {
			reported := make(chan error, 1)
			p := startShell(t, "echo first; echo the reason >&2; "+test.end, func(err error) { reported <- err })
			message := (<-reported).Error()
			for _, part := range []string{"child ended unexpectedly", test.reason, p.LogPath(), "first\nthe reason"} {
				expect.True(t, strings.Contains(message, part), "%q does not contain %q", message, part)
			}
			expect.NoError(t, p.Kill())
			expect.True(t, p.Err() != nil, "Err is nil because Kill was called after the end")
		})
	}
}

func TestLogIsContinuedByTheNextProcess(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	for _, word := range []string{"one", "two"} {
		p, err := Start(Options{Path: "/bin/echo", Args: []string{word}, LogFile: log})
		expect.NoError(t, err)
		<-p.Done()
	}
	expect.Equal(t, "log", "one\ntwo", Tail(log, 9))
}

func TestStartFailureNamesTheProgram(t *testing.T) {
	for want, options := range map[string]Options{
		"cannot start exist":          {Path: "/does/not/exist", LogFile: filepath.Join(t.TempDir(), "log")},
		"cannot open the log of true": {Path: "/bin/true", LogFile: "/does/not/exist/log"},
	} {
		_, err := Start(options)
		expect.True(t, err != nil && strings.Contains(err.Error(), want), "error %v, want %s", err, want)
	}
}

func TestTail(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	for log, want := range map[string]string{
		"":             "(the log is empty)",
		"a\n":          "a",
		"a\nb\nc\nd\n": "c\nd",
		"a\nb":         "a\nb",
		"a\n" + strings.Repeat("x", 2*maxTailBytes): strings.Repeat("x", maxTailBytes),
	} {
		expect.NoError(t, os.WriteFile(path, []byte(log), 0o600))
		expect.Equal(t, "Tail", want, Tail(path, 2))
	}
	got := Tail("/does/not/exist", 1)
	expect.True(t, strings.Contains(got, "cannot be read"), "got %q", got)
}
