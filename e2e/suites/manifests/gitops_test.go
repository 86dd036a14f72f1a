// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"path"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/issuer"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/manifest"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/repo"
)

// TestGitOpsLayers renders our layers in the examples for Argo CD and Flux, and checks the order of
// all layers.
func TestGitOpsLayers(t *testing.T) {
	var waves []string
	for _, application := range layers(t, "deploy/examples/argocd/applications.yaml") {
		source, _, err := unstructured.NestedMap(application.Object, "spec", "source")
		expect.NoError(t, err)
		if application.GetName() == "selfsigned-issuer" {
			components, _, err := unstructured.NestedStringSlice(source, "kustomize", "components")
			expect.NoError(t, err)
			expectRendered(t, source["path"].(string), components)
		}
		waves = append(waves, application.GetName()+" "+application.GetAnnotations()["argocd.argoproj.io/sync-wave"])
	}
	expect.Equal(t, "waves", []string{"cert-manager 0", "selfsigned-issuer 1", "issuers 2"}, waves)

	dependencies := map[string][]any{}
	for _, kustomization := range layers(t, "deploy/examples/flux/kustomizations.yaml") {
		if kustomization.GetKind() != "Kustomization" {
			continue
		}
		spec := kustomization.Object["spec"].(map[string]any)
		if spec["sourceRef"].(map[string]any)["name"] == "selfsigned-issuer" {
			components, _, err := unstructured.NestedStringSlice(spec, "components")
			expect.NoError(t, err)
			expectRendered(t, spec["path"].(string), components)
		}
		dependencies[kustomization.GetName()] = nil
		on, _ := spec["dependsOn"].([]any)
		for _, dependency := range on {
			name := dependency.(map[string]any)["name"].(string)
			_, earlier := dependencies[name]
			expect.True(t, earlier, "%s depends on %s, which is not an earlier layer", kustomization.GetName(), name)
			dependencies[kustomization.GetName()] = append(dependencies[kustomization.GetName()], name)
		}
	}
	expect.Equal(t, "dependencies", map[string][]any{
		"cert-manager": nil, "selfsigned-issuer-namespace": nil,
		"selfsigned-issuer": {"cert-manager", "selfsigned-issuer-namespace"}, "issuers": {"selfsigned-issuer"},
	}, dependencies)
}

func layers(t *testing.T, file string) []*unstructured.Unstructured {
	t.Helper()
	objects, err := manifest.Decode([]byte(repo.Read(t, file)))
	expect.NoError(t, err)
	return objects
}

// expectRendered renders a directory of the repository with components, whose paths are relative to it.
func expectRendered(t *testing.T, directory string, components []string) {
	t.Helper()
	content, bases := "resources: [%q]\n", []string{directory}
	if len(components) > 0 {
		content += "components: [%q]\n"
		bases = append(bases, path.Join(directory, components[0]))
	}
	objects, err := issuer.Render(repo.Kustomization(t, content, bases...))
	expect.NoError(t, err)
	expect.True(t, len(objects) > 0, "%s is empty", directory)
}
