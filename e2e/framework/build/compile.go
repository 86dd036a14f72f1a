// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/process"
)

const (
	// heartbeat is how often a build reports its progress.
	heartbeat = 15 * time.Second
	// interruptTimeout is how long an interrupted `go build` has to remove its temporary files.
	interruptTimeout = 5 * time.Second
)

// compile runs `go build`, and creates the target atomically.
func (b *build) compile(ctx context.Context, target string, flags []string) error {
	dir, err := os.MkdirTemp(b.cache, buildPattern)
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	started := time.Now()
	output := filepath.Join(dir, b.Name)
	if b.workingTree {
		// `go build` does not write an output that is up to date.
		output = target
	}
	log := filepath.Join(dir, "log")
	err = b.goBuild(ctx, log, output, flags)
	if isVersionControlFailure(err) {
		b.report.Printf("%s has no version: git cannot read this repository (see git status)", b.Name)
		err = b.goBuild(ctx, log, output, append(flags, "-buildvcs=false"))
	}
	if err != nil {
		return err
	}
	if output != target {
		if err := os.Rename(output, target); err != nil {
			return err
		}
	}
	b.report.Printf("built %s in %s", b.Name, time.Since(started).Round(100*time.Millisecond))
	return nil
}

func (b *build) goBuild(ctx context.Context, log, output string, flags []string) error {
	goProgram, err := exec.LookPath("go")
	if err != nil {
		return err
	}
	// -v prints each compiled package, which is the only progress.
	args := append([]string{"build", "-v", "-o", output}, flags...)
	compiler, err := process.Start(process.Options{
		Name: "go build", Path: goProgram, Args: append(args, b.pkg),
		Dir: b.moduleDirectory(), LogFile: log,
		// In the same file system, `go build` moves its result. An interrupted copy would look up
		// to date.
		Env: append(b.env(), "GOTMPDIR="+filepath.Dir(log)),
	})
	if err != nil {
		return err
	}
	if err := b.await(ctx, compiler); err != nil {
		return err
	}
	if err := compiler.ExitError(); err != nil {
		return describeFailure(err, log)
	}
	return nil
}

// await waits for the compiler and reports its progress.
func (b *build) await(ctx context.Context, compiler *process.Process) error {
	started := time.Now()
	ticker := time.NewTicker(b.heartbeat)
	defer ticker.Stop()
	for {
		select {
		case <-compiler.Done():
			return nil
		case <-ctx.Done():
			return errors.Join(ctx.Err(), compiler.Interrupt(), compiler.Stop(interruptTimeout))
		case <-ticker.C:
			packages, _, err := readBuildLog(compiler.LogPath())
			if err != nil {
				return errors.Join(err, compiler.Kill())
			}
			b.report.Printf("still building %s: %s so far, %d packages compiled",
				b.Name, time.Since(started).Round(time.Second), packages)
		}
	}
}
