// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package rightstest

import (
	"testing"

	"github.com/cert-manager/selfsigned-issuer/e2e/manifest"
	"github.com/cert-manager/selfsigned-issuer/e2e/plugin"
)

// TestDryRun asks the API server to validate strictly what TestRights does not apply.
func TestDryRun(t *testing.T) {
	for _, kustomization := range []string{
		plugin.DevelopmentOverlay, plugin.AdminStep, plugin.NamespaceStep, "deploy/examples/adjusted", "deploy/examples/kubernetes-csr", "deploy/examples/other-cert-manager",
	} {
		t.Run(kustomization, func(t *testing.T) {
			objects, err := plugin.Render(kustomization)
			if err != nil {
				t.Fatal(err)
			}
			if err := manifest.DryRun(t.Context(), env.Cluster.AdminConfig(), objects...); err != nil {
				t.Error(err)
			}
		})
	}
}
