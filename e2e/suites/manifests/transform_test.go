// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/issuer"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/repo"
)

// transformation is a change of all objects in a user's overlay. Flux's targetNamespace is
// kustomize's namespace.
type transformation struct {
	name, fields string
	// namespace is the resulting namespace of the process.
	namespace string
}

var transformations = []transformation{
	{"nothing", "", namespace},
	{"namePrefix", "namePrefix: team-a-\n", namespace},
	{"nameSuffix", "nameSuffix: -blue\n", namespace},
	{"namespace", "namespace: pki-system\n", "pki-system"},
	{"namespace of cert-manager", "namespace: cert-manager\n", "cert-manager"},
	{"commonLabels", "commonLabels: {team: a}\n", namespace},
	{"commonLabels that replace ours", "commonLabels: {app.kubernetes.io/name: issuer, app.kubernetes.io/component: issuer, app.kubernetes.io/part-of: pki}\n", namespace},
	{"labels", "labels: [{pairs: {team: a}, includeSelectors: true, includeTemplates: true}]\n", namespace},
	{"commonAnnotations", "commonAnnotations: {team: a}\n", namespace},
	{"all", "namePrefix: team-a-\nnameSuffix: -blue\nnamespace: pki-system\ncommonLabels: {team: a}\n", "pki-system"},
}

// TestTransformed renders every installation as the base of a user's overlay.
func TestTransformed(t *testing.T) {
	for _, installation := range installations {
		for _, tr := range transformations {
			t.Run(filepath.Base(installation)+"/"+tr.name, func(t *testing.T) {
				objects := tr.render(t, installation)
				tr.checkNamespaces(t, objects)
				served := servedObjects(t, installation, tr, objects)
				r := newReferences(t, append(objects, served...))
				r.check()
				checkPeers(t, installation, r)
			})
		}
	}
}

// render renders the overlay, without the other steps of its installation.
func (tr transformation) render(t *testing.T, installation string) []*unstructured.Unstructured {
	t.Helper()
	objects, err := issuer.Render(repo.Kustomization(t, tr.fields+"resources: [%q]\n", installation))
	expect.NoError(t, err)
	return objects
}

// checkNamespaces expects all objects in the namespace, but not the namespace itself, which must
// not be removed with them.
func (tr transformation) checkNamespaces(t *testing.T, objects []*unstructured.Unstructured) {
	t.Helper()
	for _, object := range objects {
		if object.GetKind() == "Namespace" {
			t.Errorf("the Namespace %s is one of the objects", object.GetName())
		}
		if got := object.GetNamespace(); got != "" && got != tr.namespace {
			t.Errorf("%s %s is in the namespace %s, want %s", object.GetKind(), object.GetName(), got, tr.namespace)
		}
	}
}

// servedObjects returns the objects in the selected namespaces, each of which is one step. Their
// subject is the process, as set by deploy/examples/own-namespace.
func servedObjects(t *testing.T, installation string, tr transformation, objects []*unstructured.Unstructured) []*unstructured.Unstructured {
	t.Helper()
	deployment := newReferences(t, objects).deployment()
	var served []*unstructured.Unstructured
	var namespaces []string
	for _, step := range steps(t, installation) {
		if !strings.HasPrefix(step, installation+"/namespaces/") {
			continue
		}
		namespaces = append(namespaces, filepath.Base(step))
		for _, object := range mustRender(t, step) {
			object = object.DeepCopy()
			if object.GetNamespace() != filepath.Base(step) {
				t.Errorf("%s %s is in the namespace %s, want %s", object.GetKind(), object.GetName(), object.GetNamespace(), filepath.Base(step))
			}
			if object.GetKind() == "RoleBinding" && tr.name != "nothing" {
				subject := map[string]any{"kind": "ServiceAccount", "name": deployment.Spec.Template.Spec.ServiceAccountName, "namespace": deployment.Namespace}
				expect.NoError(t, unstructured.SetNestedSlice(object.Object, []any{subject}, "subjects"))
			}
			served = append(served, object)
		}
	}
	if got := servedNamespaces(deployment); !slices.Equal(got, namespaces) {
		t.Errorf("the process selects %q, but has permissions in %q", got, namespaces)
	}
	return served
}

func servedNamespaces(d *appsv1.Deployment) []string {
	var served []string
	for _, arg := range d.Spec.Template.Spec.Containers[0].Args {
		if value, ok := strings.CutPrefix(arg, "--namespaces="); ok {
			served = append(served, value)
		}
	}
	return served
}

// checkPeers expects the same Prometheus as before in the policy, without labels of the user's overlay.
func checkPeers(t *testing.T, installation string, r *references) {
	t.Helper()
	before, ok := render(t, installation)["NetworkPolicy/"+name].(*networkingv1.NetworkPolicy)
	if !ok {
		return
	}
	for _, object := range r.objects {
		if policy, ok := object.(*networkingv1.NetworkPolicy); ok {
			if diff := cmp.Diff(before.Spec.Ingress, policy.Spec.Ingress); diff != "" {
				t.Errorf("allowed peers (-before +transformed):\n%s", diff)
			}
		}
	}
}

// The steps of the example for a separate namespace are consistent.
func TestOwnNamespace(t *testing.T) {
	const example = "deploy/examples/own-namespace"
	expectUserComment(t, example+"/kustomization.yaml")
	var objects []*unstructured.Unstructured
	var served []string
	for _, step := range steps(t, example) {
		if !strings.HasPrefix(step, example) {
			continue
		}
		for _, object := range mustRender(t, step) {
			objects = append(objects, object)
			if object.GetKind() == "Role" && object.GetNamespace() != "pki-system" {
				served = append(served, object.GetNamespace())
			}
		}
	}
	r := newReferences(t, objects)
	r.check()
	if got := r.deployment(); got.Namespace != "pki-system" || !slices.Equal(servedNamespaces(got), served) {
		t.Errorf("the process in %s selects %q, but has permissions in %q", got.Namespace, servedNamespaces(got), served)
	}
}

// The label for a removal without the CRDs must not be changed by labels of a user.
func TestCRDsAreKept(t *testing.T) {
	for _, tr := range transformations {
		for _, object := range tr.render(t, issuer.DefaultOverlay) {
			_, kept := object.GetLabels()["selfsigned.cert-manager.io/crds"]
			if crd := object.GetKind() == "CustomResourceDefinition"; kept != crd {
				t.Errorf("%s: %s %s is kept: %t", tr.name, object.GetKind(), object.GetName(), kept)
			}
		}
	}
}

// GitOps tools must not prune or delete a CRD, because this deletes the issuers.
func TestCRDsAreNotPruned(t *testing.T) {
	for _, object := range mustRender(t, "deploy/crds") {
		for annotation, want := range map[string]string{
			"argocd.argoproj.io/sync-options":   "Prune=false,Delete=false",
			"kustomize.toolkit.fluxcd.io/prune": "disabled",
		} {
			if got := object.GetAnnotations()[annotation]; got != want {
				t.Errorf("%s: the annotation %s is %q, want %q", object.GetName(), annotation, got, want)
			}
		}
	}
}

// Flux replaces ${…}. Only the dashboard has such text, and disables this.
func TestNoSubstitution(t *testing.T) {
	dashboard := false
	for _, installation := range installations {
		for _, step := range steps(t, installation) {
			for _, object := range mustRender(t, step) {
				text, err := object.MarshalJSON()
				expect.NoError(t, err)
				if !strings.Contains(string(text), "${") {
					continue
				}
				if object.GetAnnotations()["kustomize.toolkit.fluxcd.io/substitute"] != "disabled" {
					t.Errorf("%s: %s %s contains ${", step, object.GetKind(), object.GetName())
				}
				dashboard = dashboard || object.GetName() == "selfsigned-issuer-dashboard"
			}
		}
	}
	if !dashboard {
		t.Error("the dashboard has no variables: this test is outdated")
	}
}

// Roles in selected namespaces are bound there.
func TestServedNamespaceHasNoClusterRole(t *testing.T) {
	for _, object := range mustRender(t, "deploy/served-namespace") {
		switch decode(t, object).(type) {
		case *rbacv1.Role, *rbacv1.RoleBinding:
		default:
			t.Errorf("%s %s is not expected", object.GetKind(), object.GetName())
		}
	}
}
