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

// version returns the version of a pinned program in its go.mod.
func (b *build) version(ctx context.Context) (string, error) {
	args := append([]string{"list", "-mod=readonly"}, b.ModfileFlags()...)
	return b.query(ctx, append(args, "-m", "-f", "{{.Version}}", b.versionModule)...)
}

// kubernetesVersion is the version by which setup-envtest knows a program of the control plane. That of
// etcd is another one.
func (b *build) kubernetesVersion(ctx context.Context) (string, error) {
	server := *b
	server.Program = KubeAPIServer()
	return server.version(ctx)
}

// goEnv returns the Go settings that the result of a build depends on.
func (b *build) goEnv(ctx context.Context) (string, error) {
	return b.query(ctx, "env", "GOVERSION", "GOOS", "GOARCH", "GOAMD64", "GOARM64", "GOEXPERIMENT", "GOFLAGS")
}

// flags returns the arguments of `go build`, without the output.
func (b *build) flags(version string) []string {
	linker := []string{"-s", "-w"}
	for _, name := range b.versionVars {
		linker = append(linker, "-X", name+"="+version)
	}
	// Explicit, because GOFLAGS may differ. Only the version of selfsigned-issuer comes from git.
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

// env is the environment of every go command. A go.work file above the repository must not change
// the build, and static programs run everywhere.
func (b *build) env() []string {
	cgo := "CGO_ENABLED=0"
	if b.race {
		cgo = "CGO_ENABLED=1"
	}
	return append(os.Environ(), "GOWORK=off", cgo)
}

func (b *build) query(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir, cmd.Env = b.moduleDirectory(), b.env()
	return output(cmd)
}

// output runs a command. Its error has everything that the command has printed.
func output(cmd *exec.Cmd) (string, error) {
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, bytes.TrimSpace(append(out, stderr.Bytes()...)))
	}
	return strings.TrimSpace(string(out)), nil
}
