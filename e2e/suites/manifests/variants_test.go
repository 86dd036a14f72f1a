// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"slices"
	"testing"

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
			expect.True(t, object.GetNamespace() != "", "%s %s has no namespace", object.GetKind(), object.GetName())
		}
	}
	expect.Equal(t, "permissions", namespacedPermissions, permissions(objects))
	served := servedNamespaces(deployment(t, objects))
	for _, id := range []string{servedRole, servedBinding} {
		expect.Equal(t, id+" and the selected namespaces", served, []string{accessor(t, objects[id]).GetNamespace()})
	}
}

// Objects that need an administrator are a separate step, and roles in selected namespaces are bound there.
func TestKindsInSteps(t *testing.T) {
	for step, want := range map[string][]string{
		issuer.AdminStep:          {"ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition"},
		"deploy/served-namespace": {"Role", "RoleBinding"},
	} {
		for _, object := range mustRender(t, step) {
			kind := object.GetKind()
			expect.True(t, slices.Contains(want, kind), "%s: %s %s is not expected", step, kind, object.GetName())
		}
	}
}

// The overlay namespaced has no metrics: there is no port and no Service.
func TestNoMetrics(t *testing.T) {
	objects := render(t, issuer.NamespacedOverlay)
	c := container(t, objects)
	expect.True(t, slices.Contains(c.Args, "--metrics-bind-address=0"), "metrics are served: %q", c.Args)
	expect.True(t, len(c.Ports) == 1 && c.Ports[0].Name == "health", "other ports than that of the probes: %v", c.Ports)
	expect.True(t, objects["Service/"+metricsService] == nil, "there is a Service")
}

// TestVariants compares installations with the default overlay. They differ by the last argument and
// by the given objects, which TestPermissions, TestReadmePermissions and TestApproverIsCertManager check.
func TestVariants(t *testing.T) {
	for installation, want := range map[string]struct {
		flag    string
		objects []string
	}{
		issuer.DevelopmentOverlay: {flag: "--log-level=4"},
		kubernetesCSR: {
			"--enable-certificate-signing-requests",
			[]string{csrComponent, "ClusterRoleBinding/selfsigned-issuer-kubernetes-csrs"},
		},
		otherCertManager: {"--cluster-resource-namespace=my-namespace", []string{"ClusterRoleBinding/" + approver}},
		noSecretWatch:    {"--watch-secrets=false", []string{manager}},
		noApproverRole:   {"", []string{"ClusterRole/" + approver, "ClusterRoleBinding/" + approver}},
	} {
		got, defaults := render(t, installation), render(t, issuer.DefaultOverlay)
		if want.flag != "" {
			c := &deployment(t, got).Spec.Template.Spec.Containers[0]
			last := len(c.Args) - 1
			expect.Equal(t, installation+": last argument", want.flag, c.Args[last])
			c.Args = c.Args[:last]
		}
		for _, id := range want.objects {
			delete(got, id)
			delete(defaults, id)
		}
		expect.Equal(t, "the default overlay and "+installation, defaults, got)
	}
}
