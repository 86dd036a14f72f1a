// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package issuer

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/build"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/controlplane"
)

// Earlier builds the program of an earlier commit, and renders its default overlay without applying it.
func Earlier(ctx context.Context, c *controlplane.ControlPlane, commit string, program build.Program, report build.Reporter) (binary string, i *Installation, err error) {
	root, err := build.Root()
	if err != nil {
		return "", nil, err
	}
	directory := filepath.Join("bin", "before-"+commit)
	command := exec.CommandContext(ctx, "sh", "-ec", `mkdir -p "$1"; git archive "$2" | tar -x -C "$1"`, "sh", directory, commit)
	command.Dir = root
	if output, err := command.CombinedOutput(); err != nil {
		return "", nil, fmt.Errorf("commit %s: %w: %s", commit, err, output)
	}
	if binary, err = build.At(ctx, filepath.Join(root, directory), program, report); err != nil {
		return "", nil, err
	}
	objects, err := Render(filepath.Join(directory, DefaultOverlay))
	if err != nil {
		return "", nil, err
	}
	i, err = Installed(c, objects)
	return binary, i, err
}
