// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package repo reads files of this repository and runs commands in tests.
package repo

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/build"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
)

// Root returns the root of the repository.
func Root(t *testing.T) string {
	t.Helper()
	root, err := build.Root()
	expect.NoError(t, err)
	return root
}

// Read returns the content of a file below the root.
func Read(t *testing.T, path string) string {
	t.Helper()
	return ReadFile(t, Root(t), path)
}

// ReadFile returns the content of the file with these path elements.
func ReadFile(t *testing.T, elements ...string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(elements...))
	expect.NoError(t, err)
	return string(content)
}

// WriteFile writes a file.
func WriteFile(t *testing.T, content string, elements ...string) {
	t.Helper()
	expect.NoError(t, os.WriteFile(filepath.Join(elements...), []byte(content), 0o600))
}

// Kustomization writes a kustomization that is not in the repository, and returns its path relative to the
// root. Each base is inserted for a %q.
func Kustomization(t *testing.T, content string, bases ...string) string {
	t.Helper()
	directory := t.TempDir()
	var paths []any
	for _, base := range bases {
		path, err := filepath.Rel(directory, filepath.Join(Root(t), base))
		expect.NoError(t, err)
		paths = append(paths, path)
	}
	WriteFile(t, fmt.Sprintf(content, paths...), directory, "kustomization.yaml")
	path, err := filepath.Rel(Root(t), directory)
	expect.NoError(t, err)
	return path
}

// Run runs a command in a directory, with additional environment variables, and returns its output.
// The test ends if the command fails.
func Run(t *testing.T, directory string, env []string, name string, args ...string) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), name, args...)
	command.Dir, command.Env = directory, append(os.Environ(), env...)
	var stderr bytes.Buffer
	command.Stderr = &stderr
	output, err := command.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", command, err, output, &stderr)
	}
	return string(output)
}

// CommitTime returns the time of the last commit of a clone.
func CommitTime(t *testing.T, clone string) time.Time {
	t.Helper()
	seconds, err := strconv.ParseInt(strings.TrimSpace(Run(t, clone, nil, "git", "log", "-1", "--format=%ct")), 10, 64)
	expect.NoError(t, err)
	return time.Unix(seconds, 0)
}

// Platforms returns the platforms of a release, separated by commas, in the Makefile of a clone.
func Platforms(t *testing.T, clone string) string {
	t.Helper()
	found := regexp.MustCompile(`(?m)^PLATFORMS = (.*)$`).FindStringSubmatch(ReadFile(t, clone, "Makefile"))
	if found == nil {
		t.Fatal("the Makefile has no PLATFORMS")
	}
	return found[1]
}
