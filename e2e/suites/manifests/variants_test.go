// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/issuer"
)

// The component kubernetes-csrs adds one flag and its permissions.
func TestKubernetesCSRs(t *testing.T) {
	objects := render(t, kubernetesCSR)
	expect.Equal(t, "permissions", csrPermissions, ruleLines(rules(objects)[csrComponent]))
	if bindings(objects)["ClusterRoleBinding/selfsigned-issuer-kubernetes-csrs"].role.Name != "selfsigned-issuer-kubernetes-csrs" {
		t.Error("the permissions are not bound")
	}
	delete(objects, csrComponent)
	delete(objects, "ClusterRoleBinding/selfsigned-issuer-kubernetes-csrs")
	expectFlagAdded(t, objects, "--enable-certificate-signing-requests")
	expectDefault(t, objects)
}

// Another name of cert-manager changes only the approver and the namespace of the keys.
func TestOtherCertManager(t *testing.T) {
	objects := render(t, otherCertManager)
	binding := "ClusterRoleBinding/" + approver // see TestApproverIsCertManager
	objects[binding] = render(t, issuer.DefaultOverlay)[binding]
	expectFlagAdded(t, objects, "--cluster-resource-namespace=my-namespace")
	expectDefault(t, objects)
}

// expectFlagAdded removes the flag, which must be the last argument.
func expectFlagAdded(t *testing.T, objects rendered, flag string) {
	t.Helper()
	c := &deployment(t, objects).Spec.Template.Spec.Containers[0]
	last := len(c.Args) - 1
	if c.Args[last] != flag {
		t.Errorf("the last argument is %s, want %s", c.Args[last], flag)
	}
	c.Args = c.Args[:last]
}

// The component no-secret-watch removes two permissions (see TestPermissions) and sets a flag.
func TestNoSecretWatch(t *testing.T) {
	objects := render(t, noSecretWatch)
	objects[manager] = render(t, issuer.DefaultOverlay)[manager]
	expectFlagAdded(t, objects, "--watch-secrets=false")
	expectDefault(t, objects)
}

// The overlay development differs by one flag.
func TestDevelopment(t *testing.T) {
	objects := render(t, issuer.DevelopmentOverlay)
	expectFlagAdded(t, objects, "--log-level=4")
	expectDefault(t, objects)
}

func expectDefault(t *testing.T, objects rendered) {
	t.Helper()
	if diff := cmp.Diff(render(t, issuer.DefaultOverlay), objects); diff != "" {
		t.Errorf("other differences from the default overlay (-default +this):\n%s", diff)
	}
}
