// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
)

// logEnv makes the test binary a parent process: it starts a child with this log, and ends as endEnv says.
const (
	logEnv = "PROCESS_TEST_LOG"
	endEnv = "PROCESS_TEST_END"
)

func TestMain(m *testing.M) {
	if log := os.Getenv(logEnv); log != "" {
		playParent(log, os.Getenv(endEnv))
	}
	os.Exit(m.Run())
}

func playParent(log, end string) {
	_, err := Start(Options{Path: "/bin/sh", Args: []string{"-c", "echo ready; exec sleep 1000"}, LogFile: log})
	if err != nil {
		panic(err)
	}
	if _, err := os.Stdin.Read(make([]byte, 1)); err != nil {
		panic(err)
	}
	switch end {
	case "panic":
		panic("parent panics")
	case "exit":
		os.Exit(0)
	}
	select {} // until a signal ends it
}

func TestChildDiesWithItsParent(t *testing.T) {
	for end, signal := range map[string]os.Signal{
		"SIGKILL": syscall.SIGKILL, "SIGINT": syscall.SIGINT, "panic": nil, "exit": nil,
	} {
		t.Run(end, func(t *testing.T) {
			// A named pipe as the log shows that the child is ready, and that it has ended.
			log := filepath.Join(t.TempDir(), "log")
			expect.NoError(t, syscall.Mkfifo(log, 0o600))
			parent := exec.Command(os.Args[0])
			parent.Env = append(os.Environ(), logEnv+"="+log, endEnv+"="+end)
			stdin, err := parent.StdinPipe()
			expect.NoError(t, err)
			expect.NoError(t, parent.Start())
			child, err := os.Open(log)
			expect.NoError(t, err)
			defer child.Close()
			_, err = io.ReadFull(child, make([]byte, len("ready\n")))
			expect.NoError(t, err)
			_, err = stdin.Write([]byte{'\n'})
			expect.NoError(t, err)
			if signal != nil {
				expect.NoError(t, parent.Process.Signal(signal))
			}
			_ = parent.Wait() // the test has ended it
			expect.NoError(t, child.SetReadDeadline(time.Now().Add(timeout)))
			if _, err := io.Copy(io.Discard, child); err != nil {
				t.Fatalf("the child is still running: %v", err)
			}
		})
	}
}

// A terminal sends Ctrl-C to the whole process group in the foreground.
func TestChildIsInAProcessGroupOfItsOwn(t *testing.T) {
	p := startShell(t, "exec sleep 1000", nil)
	group, err := syscall.Getpgid(p.PID())
	expect.NoError(t, err)
	expect.Equal(t, "group", p.PID(), group)
}
