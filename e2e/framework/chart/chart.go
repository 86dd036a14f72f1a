// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package chart renders Helm charts, for tests that run the programs as processes on this machine,
// with the ServiceAccounts and permissions of the chart.
package chart

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"helm.sh/helm/v4/pkg/chart/common"
	chartutil "helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/loader/archive"
	chartv2 "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/build"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/manifest"
)

// Release is a release of the chart Name in Namespace.
type Release struct {
	Name, Namespace string
	// Values override those of the chart.
	Values map[string]any
}

// Render returns the objects of a release of the chart in the module. A module without a version
// keeps the version of the chart.
func (r Release) Render(module build.Module) ([]*unstructured.Unstructured, error) {
	chart, err := load(module, r.Name)
	if err != nil {
		return nil, fmt.Errorf("cannot load the chart of %s: %w", r.Name, err)
	}
	values, err := chartutil.ToRenderValues(chart, r.Values, common.ReleaseOptions{
		Name: r.Name, Namespace: r.Namespace, Revision: 1, IsInstall: true,
	}, nil)
	if err != nil {
		return nil, fmt.Errorf("the chart of %s rejects the values: %w", r.Name, err)
	}
	files, err := engine.Render(chart, values)
	if err != nil {
		return nil, fmt.Errorf("cannot render the chart of %s: %w", r.Name, err)
	}
	return decodeTemplates(files)
}

// load loads a Helm chart as its release process would publish it.
func load(module build.Module, name string) (*chartv2.Chart, error) {
	directory := os.DirFS(filepath.Join(module.Dir, "deploy", "charts", name))
	var files []*archive.BufferedFile
	err := fs.WalkDir(directory, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(directory, name)
		if name == "Chart.template.yaml" { // its name in cert-manager v1.20
			name = "Chart.yaml"
		}
		files = append(files, &archive.BufferedFile{Name: name, Data: content})
		return err
	})
	if err != nil {
		return nil, err
	}
	loaded, err := loader.LoadFiles(files)
	if err != nil {
		return nil, err
	}
	if module.Version != "" {
		loaded.Metadata.AppVersion = module.Version // v0.0.0 in the repository
	}
	return loaded, nil
}

func decodeTemplates(files map[string]string) ([]*unstructured.Unstructured, error) {
	var objects []*unstructured.Unstructured
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if filepath.Ext(name) != ".yaml" {
			continue // NOTES.txt
		}
		decoded, err := manifest.Decode([]byte(files[name]))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		objects = append(objects, decoded...)
	}
	return objects, nil
}

// OfKind returns the objects of the given kinds, in the order of the kinds.
func OfKind(objects []*unstructured.Unstructured, kinds ...string) []*unstructured.Unstructured {
	var selected []*unstructured.Unstructured
	for _, kind := range kinds {
		for _, object := range objects {
			if object.GetKind() == kind {
				selected = append(selected, object)
			}
		}
	}
	return selected
}

// RBAC returns the namespace, and the ServiceAccounts among the objects with their permissions.
func RBAC(namespace string, objects []*unstructured.Unstructured) []*unstructured.Unstructured {
	first := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": namespace},
	}}
	rights := OfKind(objects, "ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding")
	return append([]*unstructured.Unstructured{first}, rights...)
}
