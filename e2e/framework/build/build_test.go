// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

func TestProgramIsRebuiltOnlyAfterChange(t *testing.T) {
	for name, workingTree := range map[string]bool{"pinned module": false, "working tree": true} {
		t.Run(name, func(t *testing.T) {
			b, reported := tinyModule(t)
			b.workingTree = workingTree
			first := mustBuild(t, b)
			if again := mustBuild(t, b); again != first {
				t.Errorf("the same sources gave %s and then %s", first, again)
			}
			if n := reported.count("building tiny"); n != 1 && !workingTree {
				t.Errorf("built %d times", n)
			}
			writeMain(t, b.root, "two")
			if got := outputOf(t, mustBuild(t, b)); got != "two" {
				t.Errorf("after the change it prints %q", got)
			}
			if got := outputOf(t, first); got != "one" {
				t.Errorf("the first program now prints %q", got)
			}
		})
	}
}

func TestSecondBuilderWaitsForTheFirst(t *testing.T) {
	b, reported := tinyModule(t)
	built := mustBuild(t, b)
	unlock, err := b.lock(t.Context(), filepath.Dir(built))
	if err != nil {
		t.Fatal(err)
	}
	// As if the first build were still running.
	if err := os.Rename(built, built+".unfinished"); err != nil {
		t.Fatal(err)
	}
	second := make(chan error, 1)
	go func() {
		_, err := b.build(context.Background())
		second <- err
	}()
	reported.await("another process is building tiny")
	if err := os.Rename(built+".unfinished", built); err != nil {
		t.Fatal(err)
	}
	unlock()
	if err := <-second; err != nil {
		t.Fatal(err)
	}
	if n := reported.count("from source"); n != 1 {
		t.Errorf("built %d times", n)
	}
}

func TestWaitingBuilderCanBeInterrupted(t *testing.T) {
	b, reported := tinyModule(t)
	b.workingTree = true
	built := mustBuild(t, b)
	locks, err := filepath.Glob(filepath.Join(b.cache, "*", ".lock"))
	if err != nil || len(locks) != 1 {
		t.Fatalf("locks %q, %v", locks, err)
	}
	unlock, err := b.lock(t.Context(), filepath.Dir(locks[0]))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	second := make(chan error, 1)
	go func() {
		_, err := b.build(ctx)
		second <- err
	}()
	reported.await("another process is building tiny")
	cancel()
	if err := <-second; !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	unlock()
	if again := mustBuild(t, b); again != built { // the lock is free again
		t.Errorf("got %s, want %s", again, built)
	}
}

func TestWorkingTreeIsBuiltWithoutVersionWhenGitRefuses(t *testing.T) {
	b, reported := tinyModule(t)
	b.workingTree = true
	// A broken repository: git exits with status 128, as for one of another user.
	git := exec.Command("git", "init", "--quiet")
	git.Dir = b.root
	if out, err := git.CombinedOutput(); err != nil {
		t.Fatalf("git init: %v: %s", err, out)
	}
	write(t, filepath.Join(b.root, ".git"), "config", "not a configuration")
	if got := outputOf(t, mustBuild(t, b)); got != "one" {
		t.Errorf("it prints %q", got)
	}
	if reported.count("has no version") != 1 {
		t.Errorf("reported %q", reported.seen)
	}
}

func TestFailedBuildShowsCompilerOutput(t *testing.T) {
	b, _ := tinyModule(t)
	write(t, b.root, "main.go", "package main\n\nfunc main() { undefinedName() }\n")
	_, err := b.build(t.Context())
	wantError(t, err, "cannot build tiny", "exit status 1", "main.go:3", "undefinedName")
	left, globErr := filepath.Glob(filepath.Join(b.cache, buildPattern))
	if globErr != nil || len(left) != 0 {
		t.Errorf("left behind: %q, %v", left, globErr)
	}
}

func TestLongBuildReportsProgress(t *testing.T) {
	b, reported := tinyModule(t)
	b.heartbeat = time.Millisecond
	fakeGo(t, `
case $1 in
list) echo v1.2.3 ;;
build) echo example.test/one; echo example.test/two; exec sleep 1000 ;;
esac
`)
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	go func() {
		_, err := b.build(ctx)
		failed <- err
	}()
	reported.await("building tiny v1.2.3 from source (only once): about no time on 2 cores")
	reported.await("still building tiny")
	reported.await("2 packages compiled")
	cancel()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
}

func TestMissingGoIsReported(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	t.Setenv("KUBEBUILDER_ASSETS", "")
	_, err := Build(t.Context(), Etcd(), nil)
	wantError(t, err, "etcd is built from source, which needs Go")
}

func TestKubectlOfThePathIsUsed(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	t.Setenv("KUBEBUILDER_ASSETS", "")
	program := filepath.Join(dir, "kubectl")
	if err := os.WriteFile(program, nil, 0o700); err != nil {
		t.Fatal(err)
	}
	if got, err := Build(t.Context(), Kubectl(), nil); err != nil || got != program {
		t.Errorf("got %q, %v", got, err)
	}
}
