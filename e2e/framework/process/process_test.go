// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
)

func TestStopLetsTheProcessEndByItself(t *testing.T) {
	p := shell(t, `trap 'echo bye; exit 3' TERM; READY; while :; do sleep 0.01; done`)
	expect.NoError(t, p.Stop(timeout))
	if p.Running() {
		t.Error("it is still running")
	}
	if got := p.Tail(1); got != "bye" {
		t.Errorf("last log line %q", got)
	}
	if err := p.Err(); err != nil {
		t.Errorf("Err of a stopped process: %v", err)
	}
	if err := p.ExitError(); err == nil || err.Error() != "exit status 3" {
		t.Errorf("ExitError: %v", err)
	}
	if err := p.Stop(timeout); err != nil {
		t.Errorf("stopped again: %v", err)
	}
}

func TestStopKillsAProcessThatDoesNotEnd(t *testing.T) {
	p := shell(t, `trap '' TERM; READY; while :; do sleep 0.01; done`)
	expect.NoError(t, p.Stop(time.Millisecond))
	if err := p.ExitError(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("ExitError: %v", err)
	}
}

func TestStopEndsAPausedProcess(t *testing.T) {
	p := shell(t, `trap 'exit 3' TERM; READY; while :; do sleep 0.01; done`)
	expect.NoError(t, p.Pause())
	expect.NoError(t, p.Stop(timeout))
	if err := p.ExitError(); err == nil || err.Error() != "exit status 3" {
		t.Errorf("ExitError: %v", err)
	}
}

func TestKillEndsAPausedProcess(t *testing.T) {
	p := shell(t, `READY; exec sleep 1000`)
	expect.NoError(t, p.Pause())
	expect.NoError(t, p.Kill())
	if err := p.Resume(); err == nil || !strings.Contains(err.Error(), "it has ended") {
		t.Errorf("resumed after its end: %v", err)
	}
}

func TestUnexpectedEndIsReported(t *testing.T) {
	tests := map[string]struct{ script, reason string }{
		"failure": {script: "echo first; echo the reason >&2; exit 7", reason: "exit status 7"},
		"success": {script: "echo first; echo the reason >&2", reason: "exit status 0"},
		"signal":  {script: "echo first; echo the reason >&2; kill -ABRT $$", reason: "signal: aborted"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			reported := make(chan error, 1)
			p := startShell(t, test.script, func(err error) { reported <- err })
			message := (<-reported).Error()
			for _, part := range []string{"child ended unexpectedly", test.reason, p.LogPath(), "first\nthe reason"} {
				if !strings.Contains(message, part) {
					t.Errorf("%q does not contain %q", message, part)
				}
			}
			if err := p.Kill(); err != nil {
				t.Errorf("killed after its end: %v", err)
			}
			if p.Err() == nil {
				t.Error("Err is nil because Kill was called after the end")
			}
		})
	}
}

func TestExpectedEndIsNotReported(t *testing.T) {
	p := startShell(t, "exec sleep 1000", func(err error) { t.Errorf("reported: %v", err) })
	expect.NoError(t, p.Kill())
}

func TestLogIsContinuedByTheNextProcess(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	for _, word := range []string{"one", "two"} {
		p, err := Start(Options{Path: "/bin/echo", Args: []string{word}, LogFile: log})
		expect.NoError(t, err)
		<-p.Done()
	}
	if got := Tail(log, 9); got != "one\ntwo" {
		t.Errorf("log %q", got)
	}
}

func TestStartFailureNamesTheProgram(t *testing.T) {
	_, err := Start(Options{Path: "/does/not/exist", LogFile: filepath.Join(t.TempDir(), "log")})
	if err == nil || !strings.Contains(err.Error(), "cannot start exist") {
		t.Errorf("error %v", err)
	}
	_, err = Start(Options{Path: "/bin/true", LogFile: "/does/not/exist/log"})
	if err == nil || !strings.Contains(err.Error(), "cannot open the log of true") {
		t.Errorf("error %v", err)
	}
}
