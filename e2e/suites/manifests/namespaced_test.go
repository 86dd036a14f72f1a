// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"slices"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/issuer"
)

// The permissions of the process in a selected namespace.
const (
	servedRole    = "Role/selfsigned-issuer-manager"
	servedBinding = "RoleBinding/selfsigned-issuer-manager"
)

// namespacedPermissions are all permissions of the process in the overlay namespaced: those of the
// default overlay, without ClusterSelfSignedIssuers and without a ClusterRole.
var namespacedPermissions = map[string][]string{
	servedRole: {
		"selfsigned.cert-manager.io/selfsignedissuers [list watch]",
		"selfsigned.cert-manager.io/selfsignedissuers/status [patch]",
		"cert-manager.io/certificaterequests [list watch]",
		"cert-manager.io/certificaterequests/status [patch]",
		"/secrets [get list watch]",
		"events.k8s.io/events [create]",
	},
	"Role/selfsigned-issuer-leader-election": defaultPermissions["Role/selfsigned-issuer-leader-election"],
}

// The overlay namespaced needs no permissions in the whole cluster for its installation, and lists
// the selected namespaces in one place.
func TestNamespaced(t *testing.T) {
	objects := rendered{}
	for _, step := range steps(t, issuer.NamespacedOverlay) {
		if step == issuer.AdminStep || step == issuer.NamespaceStep {
			continue
		}
		for _, object := range mustRender(t, step) {
			objects[object.GetKind()+"/"+object.GetName()] = decode(t, object)
			if object.GetNamespace() == "" {
				t.Errorf("%s %s has no namespace", object.GetKind(), object.GetName())
			}
		}
	}
	got := map[string][]string{}
	for id, r := range rules(objects) {
		got[id] = ruleLines(r)
	}
	expect.Equal(t, "permissions", namespacedPermissions, got)
	served := servedNamespaces(deployment(t, objects))
	for _, id := range []string{servedRole, servedBinding} {
		if got := []string{accessor(t, objects[id]).GetNamespace()}; !slices.Equal(got, served) {
			t.Errorf("%s is in %q, but the process selects %q", id, got, served)
		}
	}
}

// Objects that need an administrator are a separate step.
func TestAdminStep(t *testing.T) {
	for _, object := range mustRender(t, issuer.AdminStep) {
		switch decode(t, object).(type) {
		case *apiextensions.CustomResourceDefinition, *rbacv1.ClusterRole, *rbacv1.ClusterRoleBinding:
		default:
			t.Errorf("%s %s is not expected", object.GetKind(), object.GetName())
		}
	}
}

// The overlay namespaced has no metrics: there is no port and no Service.
func TestNoMetrics(t *testing.T) {
	objects := render(t, issuer.NamespacedOverlay)
	c := container(t, objects)
	if !slices.Contains(c.Args, "--metrics-bind-address=0") {
		t.Errorf("metrics are served: %q", c.Args)
	}
	if len(c.Ports) != 1 || c.Ports[0].Name != "health" {
		t.Errorf("there are other ports than that of the probes: %v", c.Ports)
	}
	if objects["Service/"+metricsService] != nil {
		t.Error("there is a Service")
	}
}
