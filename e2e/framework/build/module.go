// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Module is the source of a Go module on this machine.
type Module struct {
	Dir     string // absolute; read-only, as all of the module cache
	Version string // such as v1.21.2
}

// FindModule returns a module at its version in e2e/versions/pinned. `go mod download`, unlike `go
// list -m`, downloads it if it is missing.
func FindModule(ctx context.Context, pinned, path string, flags ...string) (Module, error) {
	root, err := Root()
	if err != nil {
		return Module{}, err
	}
	var stderr bytes.Buffer
	args := append([]string{"mod", "download", "-json"}, flags...)
	cmd := exec.CommandContext(ctx, "go", append(args, path)...)
	cmd.Dir = filepath.Join(root, "e2e", "versions", pinned)
	cmd.Env = append(os.Environ(), "GOWORK=off")
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return Module{}, fmt.Errorf("cannot download %s: %w: %s%s", path, err, out, stderr.Bytes())
	}
	var found Module
	if err := json.Unmarshal(out, &found); err != nil {
		return Module{}, fmt.Errorf("cannot read the output of go mod download: %w", err)
	}
	return found, nil
}
