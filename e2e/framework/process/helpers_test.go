// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// timeout is how long a process may take to do what a test asks for.
const timeout = time.Minute

// lifeSign is a named pipe that a child opens for writing. Reading from it tells, without
// waiting for any length of time, that the child has come so far, and that it is gone.
type lifeSign struct {
	t    *testing.T
	path string
	file *os.File
	scan *bufio.Scanner
}

func newLifeSign(t *testing.T) *lifeSign {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sign")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	return &lifeSign{t: t, path: path}
}

// awaitReady blocks until the child has said that it is ready.
func (s *lifeSign) awaitReady() {
	s.t.Helper()
	var err error
	if s.file, err = os.Open(s.path); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = s.file.Close() })
	s.scan = bufio.NewScanner(s.file)
	if err := s.awaitLine("ready"); err != nil {
		s.t.Fatal(err)
	}
}

// awaitLine blocks until the child has written that line; its end is an error.
func (s *lifeSign) awaitLine(want string) error {
	for s.scan.Scan() {
		if s.scan.Text() == want {
			return nil
		}
	}
	return fmt.Errorf("the child is gone and did not say %q (%w)", want, cmp.Or(s.scan.Err(), io.EOF))
}

// awaitGone blocks until the child has ended, however it did.
func (s *lifeSign) awaitGone() {
	s.t.Helper()
	if err := s.file.SetReadDeadline(time.Now().Add(timeout)); err != nil {
		s.t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, s.file); err != nil {
		s.t.Fatalf("the child is still there: %v", err)
	}
}

// shell starts a shell that runs script once it is ready, which is when shell returns.
func shell(t *testing.T, script string) *Process {
	t.Helper()
	sign := newLifeSign(t)
	p := startShell(t, "exec 9>"+sign.path+"; "+strings.Replace(script, "READY", "echo ready >&9", 1), nil)
	sign.awaitReady()
	return p
}

func startShell(t *testing.T, script string, onUnexpectedExit func(error)) *Process {
	t.Helper()
	p, err := Start(Options{
		Name: "child", Path: "/bin/sh", Args: []string{"-c", script},
		LogFile: filepath.Join(t.TempDir(), "log"), OnUnexpectedExit: onUnexpectedExit,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Kill() })
	return p
}
