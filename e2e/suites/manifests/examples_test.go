// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"path/filepath"
	"strings"
	"testing"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/manifest"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/repo"
)

// TestExamples expects that each example can be applied to a cluster with cert-manager and
// selfsigned-issuer.
func TestExamples(t *testing.T) {
	for _, path := range list(t, "deploy/examples/*.yaml") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			expectUserComment(t, path)
			issuers, namespaces := map[string]bool{}, map[string]bool{"": true, "cert-manager": true}
			for _, object := range parse(t, path) {
				kind := object.GetObjectKind().GroupVersionKind()
				at := accessor(t, object)
				if _, ok := object.(*corev1.Namespace); ok {
					namespaces[at.GetName()] = true
				}
				expect.True(t, namespaces[at.GetNamespace()],
					"%s %s is in the namespace %q, which is not created before", kind.Kind, at.GetName(), at.GetNamespace())
				if certificate, ok := object.(*cmapi.Certificate); ok {
					ref := certificate.Spec.IssuerRef
					expect.True(t, issuers[ref.Group+"/"+ref.Kind+"/"+ref.Name],
						"Certificate %s names the issuer %v, which is not created before", at.GetName(), ref)
				}
				issuers[kind.Group+"/"+kind.Kind+"/"+at.GetName()] = true
			}
		})
	}
}

// The permissions that users need for Kubernetes CSRs.
func TestKubernetesCSRUserPermissions(t *testing.T) {
	path := kubernetesCSR + "/permissions.yaml"
	expectUserComment(t, kubernetesCSR+"/kustomization.yaml")
	objects := rendered{}
	for _, object := range parse(t, path) {
		objects[object.GetObjectKind().GroupVersionKind().Kind+"/"+accessor(t, object).GetName()] = object
	}
	want := map[string][]string{
		"ClusterRole/selfsigned-csr-author": {"certificates.k8s.io/certificatesigningrequests [create get]"},
		"Role/selfsigned-csr-author": {
			"selfsigned.cert-manager.io/signers[selfsigned-issuer] [reference]",
			"/secrets [create]",
		},
		"ClusterRole/selfsigned-csr-approver": {
			"certificates.k8s.io/certificatesigningrequests [get list watch]",
			"certificates.k8s.io/certificatesigningrequests/approval [update]",
			"certificates.k8s.io/signers" + ourSigners + " [approve]",
		},
	}
	expect.Equal(t, "permissions", want, permissions(objects))
	for id, b := range bindings(objects) {
		expect.True(t, objects[b.role.Kind+"/"+b.role.Name] != nil, "%s binds %v, which does not exist", id, b.role)
	}
}

func parse(t *testing.T, path string) []runtime.Object {
	t.Helper()
	objects, err := manifest.Decode([]byte(repo.Read(t, path)))
	expect.NoError(t, err)
	var typed []runtime.Object
	for _, object := range objects {
		typed = append(typed, decode(t, object))
	}
	if len(typed) == 0 {
		t.Fatalf("%s is empty", path)
	}
	return typed
}

// expectUserComment expects a comment about how to apply the file at its top.
func expectUserComment(t *testing.T, path string) {
	t.Helper()
	head, _, _ := strings.Cut(repo.Read(t, path), "apiVersion:")
	command, target := "kubectl apply --server-side -f ", path
	if filepath.Base(path) == "kustomization.yaml" {
		command, target = "kubectl apply --server-side -k ", filepath.Dir(path)
	}
	expect.True(t, strings.Contains(head, "\n#   "+command+target+"\n"),
		"%s does not start with its command: %q", path, command+target)
}
