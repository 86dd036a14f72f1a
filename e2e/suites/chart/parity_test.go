// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package chart compares the Helm chart with the kustomize overlays and installs it.
package chart

import (
	"path/filepath"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/build"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/chart"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/issuer"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/repo"
)

const (
	name      = "selfsigned-issuer"
	namespace = "selfsigned-issuer-system"
	directory = "deploy/charts/selfsigned-issuer"
)

// overlays are the kustomizations for each values file of the chart, and for otherValues.
var overlays = map[string]string{
	"default":          issuer.DefaultOverlay,
	"production":       issuer.ProductionOverlay,
	"namespaced":       issuer.NamespacedOverlay,
	"kubernetes-csrs":  "deploy/examples/kubernetes-csr",
	"metrics-tls":      "e2e/suites/testdata/metrics-tls",
	"no-approver-role": "e2e/suites/testdata/no-approver-role",
}

var otherValues = map[string]string{
	"metrics-tls":      "metrics: {tls: {enabled: true, clients: token}, serviceMonitor: {enabled: true}, prometheusRule: {enabled: true}, dashboard: {enabled: true}}",
	"no-approver-role": "approverRole: {enabled: false}",
}

// TestParity compares all objects: the chart adds only Helm's labels.
func TestParity(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(repo.Root(t), directory, "values", "*.yaml"))
	if err != nil || len(files) != 4 {
		t.Fatalf("values files %q, want 4 (%v)", files, err)
	}
	for values, overlay := range overlays {
		t.Run(values, func(t *testing.T) {
			want, got := index(t, kustomized(t, overlay)), index(t, render(t, valuesOf(t, values)))
			for _, object := range got {
				removeHelm(t, object)
			}
			expect.Equal(t, "overlay and chart", want, got)
		})
	}
}

// valuesOf returns a values file of the chart, or those in otherValues.
func valuesOf(t *testing.T, name string) map[string]any {
	t.Helper()
	if values := otherValues[name]; values != "" {
		return parse(t, values)
	}
	return parse(t, repo.Read(t, filepath.Join(directory, "values", name+".yaml")))
}

// kustomized returns the objects of all steps of an overlay, without the namespace, which is not in
// a release either.
func kustomized(t *testing.T, overlay string) []*unstructured.Unstructured {
	t.Helper()
	steps, err := issuer.Steps(overlay)
	expect.NoError(t, err)
	var objects []*unstructured.Unstructured
	for _, step := range steps {
		if step == issuer.NamespaceStep {
			continue
		}
		rendered, err := issuer.Render(step)
		expect.NoError(t, err)
		objects = append(objects, rendered...)
	}
	return objects
}

// render returns the objects of a release.
func render(t *testing.T, values map[string]any) []*unstructured.Unstructured {
	t.Helper()
	objects, err := tryRender(t, values)
	expect.NoError(t, err)
	return objects
}

func tryRender(t *testing.T, values map[string]any) ([]*unstructured.Unstructured, error) {
	t.Helper()
	return chart.Release{Name: name, Namespace: namespace, Values: values}.Render(build.Module{Dir: repo.Root(t)})
}

func index(t *testing.T, objects []*unstructured.Unstructured) map[string]*unstructured.Unstructured {
	t.Helper()
	byID := map[string]*unstructured.Unstructured{}
	for _, object := range objects {
		id := object.GetAPIVersion() + " " + object.GetKind() + " " + object.GetNamespace() + "/" + object.GetName()
		expect.True(t, byID[id] == nil, "%s is rendered twice", id)
		byID[id] = object
	}
	return byID
}

// removeHelm removes Helm's labels and annotations.
func removeHelm(t *testing.T, object *unstructured.Unstructured) {
	t.Helper()
	labels := object.GetLabels()
	for _, label := range []string{"helm.sh/chart", "app.kubernetes.io/instance", "app.kubernetes.io/version", "app.kubernetes.io/managed-by"} {
		expect.True(t, labels[label] != "", "%s %s has no label %s", object.GetKind(), object.GetName(), label)
		delete(labels, label)
	}
	object.SetLabels(labels)
	annotations := object.GetAnnotations()
	_, kept := annotations["helm.sh/resource-policy"]
	expect.True(t, kept == (object.GetKind() == "CustomResourceDefinition"),
		"%s %s is kept: %t", object.GetKind(), object.GetName(), kept)
	delete(annotations, "helm.sh/resource-policy")
	object.SetAnnotations(annotations)
}
