// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// lines collects reported lines, and lets a test wait for one.
type lines struct {
	t    *testing.T
	mu   sync.Mutex
	seen []string
	news chan struct{}
}

func newLines(t *testing.T) *lines { return &lines{t: t, news: make(chan struct{}, 1)} }

func (l *lines) report(format string, args ...any) {
	l.mu.Lock()
	l.seen = append(l.seen, fmt.Sprintf(format, args...))
	l.mu.Unlock()
	select {
	case l.news <- struct{}{}:
	default:
	}
}

func (l *lines) count(part string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.seen {
		if strings.Contains(line, part) {
			n++
		}
	}
	return n
}

// await waits for a line with that part.
func (l *lines) await(part string) {
	l.t.Helper()
	for l.count(part) == 0 {
		select {
		case <-l.news:
		case <-time.After(time.Minute):
			l.t.Fatalf("%q was not reported, only %q", part, l.seen)
		}
	}
}

// tinyModule creates a module that is built quickly.
func tinyModule(t *testing.T) (*build, *lines) {
	t.Helper()
	reported := newLines(t)
	b := &build{
		Program: Program{
			Name: "tiny", directory: ".", pkg: ".",
			versionModule: "example.test/tiny", coldBuild: "no time",
		},
		root: t.TempDir(), cache: t.TempDir(), report: reported.report, heartbeat: time.Hour,
	}
	write(t, b.root, "go.mod", "module example.test/tiny\n\ngo 1.26.0\n")
	writeMain(t, b.root, "one")
	return b, reported
}

func writeMain(t *testing.T, directory, output string) {
	t.Helper()
	write(t, directory, "main.go", fmt.Sprintf("package main\n\nfunc main() { print(%q) }\n", output))
}

func write(t *testing.T, directory, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(directory, name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// fakeGo puts a script as the go command into the PATH.
func fakeGo(t *testing.T, content string) {
	t.Helper()
	dir := t.TempDir()
	script(t, dir, "go", content)
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
}

func script(t *testing.T, directory, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(directory, name), []byte("#!/bin/sh\n"+content), 0o700); err != nil {
		t.Fatal(err)
	}
}

func mustBuild(t *testing.T, b *build) string {
	t.Helper()
	path, err := b.build(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func outputOf(t *testing.T, program string) string {
	t.Helper()
	out, err := exec.Command(program).CombinedOutput()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func wantError(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one with %q", parts)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q does not contain %q", err, part)
		}
	}
}
