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
	// heartbeat is how often a build says that it is still at it.
	heartbeat = 15 * time.Second
	// compileGrace lets an interrupted `go build` remove its temporary files.
	compileGrace = 5 * time.Second
)

// compile runs `go build`. The target appears in one step, or not at all.
func (b *build) compile(ctx context.Context, target string, flags []string) error {
	dir, err := os.MkdirTemp(b.cache, buildPattern)
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	started := time.Now()
	output := filepath.Join(dir, b.Name)
	if b.workingTree {
		// An output that is up to date is left alone, if only `go build` gets to see it.
		output = target
	}
	log := filepath.Join(dir, "log")
	err = b.goBuild(ctx, log, output, flags)
	if isVersionControlFailure(err) {
		b.report.Say("%s gets no version: git cannot read this repository (git status tells why)", b.Name)
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
	b.report.Say("built %s in %s", b.Name, time.Since(started).Round(100*time.Millisecond))
	return nil
}

func (b *build) goBuild(ctx context.Context, log, output string, flags []string) error {
	goProgram, err := exec.LookPath("go")
	if err != nil {
		return err
	}
	// -v names each package when it is compiled, which is the only progress to be had.
	args := append([]string{"build", "-v", "-o", output}, flags...)
	compiler, err := process.Start(process.Options{
		Name: "go build", Path: goProgram, Args: append(args, b.pkg),
		Dir: b.moduleFolder(), LogFile: log,
		// Beside the output, `go build` can move its result there instead of copying it:
		// a copy that is cut short would pass for up to date.
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

// await waits for the compiler and reports its progress meanwhile.
func (b *build) await(ctx context.Context, compiler *process.Process) error {
	started := time.Now()
	ticker := time.NewTicker(b.heartbeat)
	defer ticker.Stop()
	for {
		select {
		case <-compiler.Done():
			return nil
		case <-ctx.Done():
			return errors.Join(ctx.Err(), compiler.Interrupt(), compiler.Stop(compileGrace))
		case <-ticker.C:
			packages, _, err := readBuildLog(compiler.LogPath())
			if err != nil {
				return errors.Join(err, compiler.Kill())
			}
			b.report.Say("still building %s: %s so far, %d packages compiled",
				b.Name, time.Since(started).Round(time.Second), packages)
		}
	}
}
