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

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
)

// timeout is how long a process may take to do what a test asks for.
const timeout = time.Minute

// readyPipe is a named pipe that a child opens for writing. Reading from it shows that the child is
// ready, and that it has ended.
type readyPipe struct {
	t    *testing.T
	path string
	file *os.File
	scan *bufio.Scanner
}

func newReadyPipe(t *testing.T) *readyPipe {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sign")
	expect.NoError(t, syscall.Mkfifo(path, 0o600))
	return &readyPipe{t: t, path: path}
}

// awaitReady waits until the child is ready.
func (s *readyPipe) awaitReady() {
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

// awaitLine waits for a line of the child. It fails if the child ends.
func (s *readyPipe) awaitLine(want string) error {
	for s.scan.Scan() {
		if s.scan.Text() == want {
			return nil
		}
	}
	return fmt.Errorf("the child has ended without writing %q (%w)", want, cmp.Or(s.scan.Err(), io.EOF))
}

// awaitGone waits until the child has ended.
func (s *readyPipe) awaitGone() {
	s.t.Helper()
	if err := s.file.SetReadDeadline(time.Now().Add(timeout)); err != nil {
		s.t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, s.file); err != nil {
		s.t.Fatalf("the child is still running: %v", err)
	}
}

// shell starts a shell and waits until it is ready. It then runs script.
func shell(t *testing.T, script string) *Process {
	t.Helper()
	sign := newReadyPipe(t)
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
	expect.NoError(t, err)
	t.Cleanup(func() { _ = p.Kill() })
	return p
}
