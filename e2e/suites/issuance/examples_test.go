// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package issuance_test

import (
	"os"
	"path/filepath"
	"testing"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/build"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/manifest"
)

// TestExamples applies every example, in sequence and in one cluster, and waits for its
// Certificates. The suite manifests checks that each example is complete.
func TestExamples(t *testing.T) {
	for _, path := range exampleFiles(t, "*.yaml") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			for _, object := range applyFile(t, path) {
				if object.GetKind() != cmapi.CertificateKind {
					continue
				}
				certificate := &cmapi.Certificate{}
				if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, certificate); err != nil {
					t.Fatal(err)
				}
				awaitSecret(t, certificate)
			}
		})
	}
}

// exampleFiles returns the files of deploy/examples that match the pattern.
func exampleFiles(t *testing.T, pattern string) []string {
	t.Helper()
	root, err := build.Root()
	if err != nil {
		t.Fatal(err)
	}
	paths, err := filepath.Glob(filepath.Join(root, "deploy/examples", pattern))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no examples, %v", err)
	}
	return paths
}

// applyFile applies a manifest and returns what is in it.
func applyFile(t *testing.T, path string) []*unstructured.Unstructured {
	t.Helper()
	stream, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	objects, err := manifest.Decode(stream)
	if err != nil {
		t.Fatal(err)
	}
	if err := manifest.Apply(t.Context(), env.ControlPlane.AdminConfig(), objects...); err != nil {
		t.Fatal(err)
	}
	return objects
}
