// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package release installs the assets of a release, and rehearses a release.
package release

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/environment"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/helm"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/issuer"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/manifest"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/monitoring"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/repo"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/testenv"
)

const (
	name      = "selfsigned-issuer"
	namespace = "selfsigned-issuer-system"
)

// plainMetrics disables options with a mounted Secret, for which there is no kubelet.
var plainMetrics = []string{"--metrics-secure=false", "--metrics-cert-dir=", "--metrics-client-ca-file="}

// TestAssets installs, uses and removes each asset of a release.
func TestAssets(t *testing.T) {
	assets := filepath.Join(t.TempDir(), "dist")
	makeAssets(t, repo.Root(t), assets)
	e := testenv.Start(t, environment.Options{WithoutIssuer: true, Race: true, ControllerManager: true})
	e.CreateNamespace(t, testenv.Namespace)
	expect.NoError(t, monitoring.InstallCRDs(t.Context(), e.ControlPlane.AdminConfig()))
	for _, files := range [][]string{
		{"install.yaml"}, {"install-production.yaml"}, {"install-admin.yaml", "install-namespaced.yaml"},
	} {
		t.Run(files[len(files)-1], func(t *testing.T) {
			objects := apply(t, e, assets, files...)
			use(t, e, objects)
			remove(t, e, assets, files...)
			e.ExpectRemoved(t, objects)
		})
	}
	t.Run("crds.yaml and the chart", func(t *testing.T) {
		crds := apply(t, e, assets, "crds.yaml")
		charts, err := filepath.Glob(filepath.Join(assets, name+"-*.tgz"))
		if err != nil || len(charts) != 1 {
			t.Fatalf("charts %q, want 1 (%v)", charts, err)
		}
		chart, err := loader.Load(charts[0])
		expect.NoError(t, err)
		release, err := helm.NewClient(e.ControlPlane.AdminKubeconfig(), name, namespace)
		expect.NoError(t, err)
		objects, err := release.Install(t.Context(), chart, map[string]any{"crds": map[string]any{"enabled": false}}, false)
		expect.NoError(t, err)
		use(t, e, objects)
		expect.NoError(t, release.Uninstall())
		e.ExpectRemoved(t, objects)
		remove(t, e, assets, "crds.yaml")
		e.ExpectRemoved(t, crds)
	})
}

// makeAssets writes the assets of a release to a directory.
func makeAssets(t *testing.T, repository, assets string) {
	t.Helper()
	repo.Run(t, repository, nil, "make", "release-artifacts", "DIST="+assets, "BIN="+t.TempDir())
	var listed, there []string
	for line := range strings.Lines(repo.ReadFile(t, assets, "checksums.txt")) {
		sum, file, _ := strings.Cut(strings.TrimSpace(line), "  ")
		got := fmt.Sprintf("%x", sha256.Sum256([]byte(repo.ReadFile(t, assets, file))))
		expect.Equal(t, "checksum of "+file, sum, got)
		listed = append(listed, file)
	}
	entries, err := os.ReadDir(assets)
	expect.NoError(t, err)
	for _, entry := range entries {
		if entry.Name() != "checksums.txt" {
			there = append(there, entry.Name())
		}
	}
	expect.Equal(t, "assets and checksums.txt", there, listed)
	expect.Equal(t, "number of assets", 7, len(there))
}

// apply applies assets as the README says, and returns their objects.
func apply(t *testing.T, e *testenv.Environment, assets string, files ...string) []*unstructured.Unstructured {
	t.Helper()
	var objects []*unstructured.Unstructured
	for _, file := range files {
		kubectl(t, e, "apply", "--server-side", "-f", filepath.Join(assets, file))
		decoded, err := manifest.Decode([]byte(repo.ReadFile(t, assets, file)))
		expect.NoError(t, err)
		objects = append(objects, decoded...)
	}
	return objects
}

// use runs the program of an installation and issues a certificate.
func use(t *testing.T, e *testenv.Environment, objects []*unstructured.Unstructured) *issuer.Installation {
	t.Helper()
	installed, err := issuer.Installed(e.ControlPlane, objects)
	expect.NoError(t, err)
	e.Run(t, installed, plainMetrics...)
	e.Issue(t)
	e.End(t)
	return installed
}

func remove(t *testing.T, e *testenv.Environment, assets string, files ...string) {
	t.Helper()
	for _, file := range slices.Backward(files) {
		kubectl(t, e, "delete", "--ignore-not-found", "-f", filepath.Join(assets, file))
	}
}

func kubectl(t *testing.T, e *testenv.Environment, args ...string) {
	t.Helper()
	k, err := e.Kubectl(t.Context(), t.Logf)
	expect.NoError(t, err)
	if _, err := k.Run(t.Context(), args...); err != nil {
		t.Fatal(err)
	}
}
