// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
)

// signEnv makes the test binary a parent process: it starts a child that writes to the named pipe,
// and ends as endEnv says.
const (
	signEnv = "PROCESS_TEST_SIGN"
	endEnv  = "PROCESS_TEST_END"
)

func TestMain(m *testing.M) {
	if sign := os.Getenv(signEnv); sign != "" {
		playParent(sign, os.Getenv(endEnv))
	}
	os.Exit(m.Run())
}

func playParent(sign, end string) {
	_, err := Start(Options{
		Path: "/bin/sh", Args: []string{"-c", "exec 9>" + sign + "; echo ready >&9; exec sleep 1000"},
		LogFile: filepath.Join(filepath.Dir(sign), "log"),
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if _, err := os.Stdin.Read(make([]byte, 1)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
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
	tests := map[string]struct {
		end    string
		signal os.Signal
	}{
		"SIGKILL": {signal: syscall.SIGKILL},
		"SIGINT":  {signal: syscall.SIGINT},
		"panic":   {end: "panic"},
		"exit":    {end: "exit"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			sign := newReadyPipe(t)
			parent := exec.Command(os.Args[0])
			parent.Env = append(os.Environ(), signEnv+"="+sign.path, endEnv+"="+test.end)
			stdin, err := parent.StdinPipe()
			expect.NoError(t, err)
			expect.NoError(t, parent.Start())
			sign.awaitReady()
			if _, err := stdin.Write([]byte{'\n'}); err != nil {
				t.Fatal(err)
			}
			if test.signal != nil {
				expect.NoError(t, parent.Process.Signal(test.signal))
			}
			_ = parent.Wait() // the test has ended it
			sign.awaitGone()
		})
	}
}

// A terminal sends Ctrl-C to the whole process group in the foreground.
func TestChildIsInAProcessGroupOfItsOwn(t *testing.T) {
	p := startShell(t, "exec sleep 1000", nil)
	group, err := syscall.Getpgid(p.PID())
	expect.NoError(t, err)
	if group != p.PID() {
		t.Errorf("process %d is in group %d", p.PID(), group)
	}
}
