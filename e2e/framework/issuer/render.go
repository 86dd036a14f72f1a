// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package issuer installs the kustomize overlays in deploy/, as a user does, and runs the binary
// with the arguments and the ServiceAccount of the rendered Deployment, so that it has exactly the
// permissions in the overlay.
package issuer

import (
	"fmt"
	"path/filepath"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/build"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/manifest"
)

// The overlays.
const (
	// DefaultOverlay is what the README tells users to install.
	DefaultOverlay     = "deploy/overlays/default"
	ProductionOverlay  = "deploy/overlays/production"
	DevelopmentOverlay = "deploy/overlays/development"
	// NamespacedOverlay is without the objects that only an administrator can install: they are in
	// AdminStep.
	NamespacedOverlay = "deploy/overlays/namespaced"
	AdminStep         = "deploy/admin"
	// NamespaceStep creates the namespace that the overlays install into.
	NamespaceStep = "deploy/namespace"
)

// Steps returns the kustomizations of an overlay, in the order of installation. An overlay for
// selected namespaces has one for each of them in its directory namespaces.
func Steps(overlay string) ([]string, error) {
	root, err := build.Root()
	if err != nil {
		return nil, err
	}
	served, err := filepath.Glob(filepath.Join(root, overlay, "namespaces", "*"))
	if err != nil {
		return nil, err
	}
	if len(served) == 0 {
		return []string{NamespaceStep, overlay}, nil
	}
	steps := []string{NamespaceStep, AdminStep, overlay}
	for _, namespace := range served {
		steps = append(steps, filepath.Join(overlay, "namespaces", filepath.Base(namespace)))
	}
	return steps, nil
}

// Render renders a kustomization, a directory below the repository's root, into objects in the
// order in which they can be applied.
func Render(kustomization string) ([]*unstructured.Unstructured, error) {
	root, err := build.Root()
	if err != nil {
		return nil, err
	}
	options := krusty.MakeDefaultOptions()
	options.Reorder = krusty.ReorderOptionLegacy
	resources, err := krusty.MakeKustomizer(options).Run(filesys.MakeFsOnDisk(), filepath.Join(root, kustomization))
	if err != nil {
		return nil, fmt.Errorf("cannot render %s: %w", kustomization, err)
	}
	stream, err := resources.AsYaml()
	if err != nil {
		return nil, fmt.Errorf("cannot render %s: %w", kustomization, err)
	}
	return manifest.Decode(stream)
}
