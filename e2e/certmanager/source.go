// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package certmanager

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/cert-manager/selfsigned-issuer/e2e/manifest"
	"github.com/cert-manager/selfsigned-issuer/e2e/toolchain"
)

const (
	modulePath  = "github.com/cert-manager/cert-manager"
	gatewayPath = "sigs.k8s.io/gateway-api" // the version that cert-manager is built with
)

// source is a module on this machine.
type source struct {
	Dir     string // absolute; read-only, as all of the module cache
	Version string // such as v1.21.2
}

// findSource returns a module that the program is built from. It asks `go mod download`,
// and not `go list -m`, because that fetches the module on a machine that does not have it.
func findSource(ctx context.Context, path string) (source, error) {
	root, err := toolchain.Root()
	if err != nil {
		return source{}, err
	}
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, "go", "mod", "download", "-json", path)
	cmd.Dir = filepath.Join(root, "e2e", "modules", "certmanager")
	cmd.Env = append(os.Environ(), "GOWORK=off")
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return source{}, fmt.Errorf("cannot download %s: %w: %s%s", path, err, out, stderr.Bytes())
	}
	var found source
	if err := json.Unmarshal(out, &found); err != nil {
		return source{}, fmt.Errorf("cannot read the answer of go mod download: %w", err)
	}
	return found, nil
}

// crds returns the CustomResourceDefinitions in a folder of the module.
func (s source) crds(folder string) ([]*unstructured.Unstructured, error) {
	files, err := filepath.Glob(filepath.Join(s.Dir, folder, "*.yaml"))
	if err != nil {
		return nil, err
	}
	var objects []*unstructured.Unstructured
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		decoded, err := manifest.Decode(content)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		objects = append(objects, ofKind(decoded, "CustomResourceDefinition")...)
	}
	if len(objects) == 0 {
		return nil, fmt.Errorf("no CustomResourceDefinitions in %s", filepath.Join(s.Dir, folder))
	}
	return objects, nil
}
