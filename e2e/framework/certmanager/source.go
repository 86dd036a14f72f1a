// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package certmanager

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/build"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/chart"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/manifest"
)

const (
	modulePath  = "github.com/cert-manager/cert-manager"
	gatewayPath = "sigs.k8s.io/gateway-api" // the version that cert-manager is built with
)

// findSource returns a module of the program.
func findSource(ctx context.Context, path string) (build.Module, error) {
	return build.FindModule(ctx, "certmanager", path, build.CertManager().ModfileFlags()...)
}

// readCRDs returns the CustomResourceDefinitions in a directory of the module.
func readCRDs(source build.Module, directory string) ([]*unstructured.Unstructured, error) {
	files, err := filepath.Glob(filepath.Join(source.Dir, directory, "*.yaml"))
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
		objects = append(objects, chart.OfKind(decoded, "CustomResourceDefinition")...)
	}
	if len(objects) == 0 {
		return nil, fmt.Errorf("no CustomResourceDefinitions in %s", filepath.Join(source.Dir, directory))
	}
	return objects, nil
}
