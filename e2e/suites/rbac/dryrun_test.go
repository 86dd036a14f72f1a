// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package rbac

import (
	"testing"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/issuer"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/manifest"
)

// TestDryRun has the API server validate manifests that TestPermissions does not apply.
func TestDryRun(t *testing.T) {
	for _, kustomization := range []string{
		issuer.DevelopmentOverlay, issuer.AdminStep, issuer.NamespaceStep, "deploy/examples/adjusted", "deploy/examples/kubernetes-csr", "deploy/examples/other-cert-manager",
	} {
		t.Run(kustomization, func(t *testing.T) {
			objects, err := issuer.Render(kustomization)
			if err != nil {
				t.Fatal(err)
			}
			if err := manifest.DryRun(t.Context(), env.ControlPlane.AdminConfig(), objects...); err != nil {
				t.Error(err)
			}
		})
	}
}
