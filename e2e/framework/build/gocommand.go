// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// version returns the version of a pinned program, from its go.mod.
func (b *build) version(ctx context.Context) (string, error) {
	args := append([]string{"list", "-mod=readonly"}, b.ModfileFlags()...)
	return b.query(ctx, append(args, "-m", "-f", "{{.Version}}", b.versionModule)...)
}

// goEnv returns what else, beside the sources and flags, the result of a build depends on.
func (b *build) goEnv(ctx context.Context) (string, error) {
	return b.query(ctx, "env", "GOVERSION", "GOOS", "GOARCH", "GOAMD64", "GOARM64", "GOEXPERIMENT", "GOFLAGS")
}

// flags returns the arguments of `go build` but for its output.
func (b *build) flags(version string) []string {
	linker := []string{"-s", "-w"}
	for _, name := range b.versionVars {
		linker = append(linker, "-X", name+"="+version)
	}
	// What GOFLAGS may say otherwise is said here: only this project's own program has
	// a version that comes from git.
	vcs := "-buildvcs=false"
	if b.workingTree {
		vcs = "-buildvcs=auto"
	}
	flags := []string{"-mod=readonly", "-trimpath", vcs, "-ldflags=" + strings.Join(linker, " ")}
	if b.race {
		flags = append(flags, "-race")
	}
	if b.tags != "" {
		flags = append(flags, "-tags="+b.tags)
	}
	return append(flags, b.ModfileFlags()...)
}

// env is the environment of every go command: a go.work file above the repository must
// not change what is built, and a static program runs everywhere.
func (b *build) env() []string {
	cgo := "CGO_ENABLED=0"
	if b.race {
		cgo = "CGO_ENABLED=1"
	}
	return append(os.Environ(), "GOWORK=off", cgo)
}

func (b *build) query(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir, cmd.Env = b.moduleFolder(), b.env()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go %s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	return strings.TrimSpace(string(out)), nil
}
