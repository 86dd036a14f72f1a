// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"path/filepath"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	networkingv1 "k8s.io/api/networking/v1"
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
		kind, got := object.GetKind(), object.GetNamespace()
		expect.True(t, kind != "Namespace", "the Namespace %s is one of the objects", object.GetName())
		expect.True(t, got == "" || got == tr.namespace,
			"%s %s is in the namespace %s, want %s", kind, object.GetName(), got, tr.namespace)
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
			expect.Equal(t, object.GetKind()+": namespace", filepath.Base(step), object.GetNamespace())
			if object.GetKind() == "RoleBinding" && tr.name != "nothing" {
				subject := map[string]any{"kind": "ServiceAccount", "name": deployment.Spec.Template.Spec.ServiceAccountName, "namespace": deployment.Namespace}
				expect.NoError(t, unstructured.SetNestedSlice(object.Object, []any{subject}, "subjects"))
			}
			served = append(served, object)
		}
	}
	expect.Equal(t, "namespaces with permissions, and selected ones", namespaces, servedNamespaces(deployment))
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
			expect.Equal(t, "allowed peers before and after", before.Spec.Ingress, policy.Spec.Ingress)
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
	expect.Equal(t, "namespace", "pki-system", r.deployment().Namespace)
	expect.Equal(t, "namespaces with permissions, and selected ones", served, servedNamespaces(r.deployment()))
}

// The label for a removal without the CRDs must not be changed by labels of a user.
func TestCRDsAreKept(t *testing.T) {
	for _, tr := range transformations {
		for _, object := range tr.render(t, issuer.DefaultOverlay) {
			_, kept := object.GetLabels()["selfsigned.cert-manager.io/crds"]
			expect.True(t, kept == (object.GetKind() == "CustomResourceDefinition"),
				"%s: %s %s is kept: %t", tr.name, object.GetKind(), object.GetName(), kept)
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
			expect.Equal(t, object.GetName()+": "+annotation, want, object.GetAnnotations()[annotation])
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
				expect.True(t, object.GetAnnotations()["kustomize.toolkit.fluxcd.io/substitute"] == "disabled",
					"%s: %s %s contains ${", step, object.GetKind(), object.GetName())
				dashboard = dashboard || object.GetName() == "selfsigned-issuer-dashboard"
			}
		}
	}
	expect.True(t, dashboard, "the dashboard has no variables: this test is outdated")
}
