// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package environment

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/build"
)

// Kubectl runs kubectl as the administrator of the environment.
type Kubectl struct {
	// Path is the program.
	Path string

	kubeconfig, root string
}

// Kubectl returns kubectl from the PATH, or builds it.
func (e *Environment) Kubectl(ctx context.Context, report build.Reporter) (Kubectl, error) {
	path, err := build.Build(ctx, build.Kubectl(), report)
	if err != nil {
		return Kubectl{}, err
	}
	root, err := build.Root()
	return Kubectl{path, e.ControlPlane.AdminKubeconfig(), root}, err
}

// Run runs kubectl in the repository's root and returns its output.
func (k Kubectl) Run(ctx context.Context, args ...string) (string, error) {
	command := exec.CommandContext(ctx, k.Path, append([]string{"--kubeconfig=" + filepath.Clean(k.kubeconfig)}, args...)...)
	command.Dir = k.root
	output, err := command.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("kubectl %s: %w\n%s", strings.Join(args, " "), err, output)
	}
	return string(output), nil
}
