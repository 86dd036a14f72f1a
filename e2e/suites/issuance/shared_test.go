// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package issuance_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// The tests in this file change shared objects and restore them. They must not run in parallel.

// TestSecretsForbidden removes the permission to read Secrets at run time.
func TestSecretsForbidden(t *testing.T) {
	namespace, key := newNamespace(t), newKey(t)
	createKeySecret(t, namespace, key)
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "selfsigned-issuer-manager"}}
	restore := withoutSecretGet(t, role)
	request := newRequest(t, namespace, key)
	env.Create(t, request)
	awaitPending(t, request, "Warning", "ForbiddenSecret", "Secret "+namespace+"/key", "deploy/overlays/default", "ClusterRole selfsigned-issuer-manager")
	restore()
	checkIssued(t, request)
	checkEvents(t, request, "ForbiddenSecret", "CertificateIssued")
}

func withoutSecretGet(t *testing.T, role *rbacv1.ClusterRole) (restore func()) {
	t.Helper()
	env.Get(t, role)
	original := role.DeepCopy()
	for i := range role.Rules {
		if slices.Contains(role.Rules[i].Resources, "secrets") {
			role.Rules[i].Verbs = []string{"list", "watch"}
		}
	}
	if err := env.Client.Update(t.Context(), role); err != nil {
		t.Fatal(err)
	}
	awaitPermission(t, "system:serviceaccount:selfsigned-issuer-system:selfsigned-issuer", false, authorizationv1.ResourceAttributes{Resource: "secrets", Verb: "get", Namespace: "default"})
	put := func() {
		current := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: role.Name}}
		if err := env.Client.Get(context.Background(), client.ObjectKeyFromObject(current), current); err != nil {
			t.Error(err)
		}
		current.Rules = original.Rules
		if err := env.Client.Update(context.Background(), current); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(put)
	return put
}

// TestIssuerOlderThanItsSchema creates an issuer that the current schema rejects, as an older
// version may have allowed.
func TestIssuerOlderThanItsSchema(t *testing.T) {
	namespace, key := newNamespace(t), newKey(t)
	createKeySecret(t, namespace, key)
	issuer := newIssuer(namespace, "old")
	issuer.Spec.CRLDistributionPoints = []string{"ftp://example.com/100%d"}
	restore := withoutValidation(t)
	env.Eventually(t, "creating an invalid issuer", func(ctx context.Context) error {
		if err := env.Client.Create(ctx, issuer); err != nil {
			return err
		}
		return nil
	})
	restore()
	var failure string
	env.Eventually(t, "Ready=False", func(context.Context) error {
		env.Get(t, issuer)
		condition := apimeta.FindStatusCondition(issuer.Status.Conditions, "Ready")
		if condition == nil || condition.Status != metav1.ConditionFalse {
			return fmt.Errorf("%+v", issuer.Status)
		}
		failure = condition.Message
		return nil
	})
	const want = `Failed permanently: spec.crlDistributionPoints[0]: Invalid value: "ftp://example.com/100%d": `
	if len(failure) < len(want) || failure[:len(want)] != want {
		t.Errorf("\n got %s\nwant %s…", failure, want)
	}
	awaitEvent(t, issuer, "Warning", "PermanentError", failure)

	request := newRequest(t, namespace, key)
	request.Spec.IssuerRef.Name = "old"
	env.Create(t, request)
	awaitPending(t, request, "Warning", "IssuerNotReady", "SelfSignedIssuer "+namespace+"/old", strings.TrimSuffix(failure, "."))
	env.Eventually(t, "mending the issuer", func(ctx context.Context) error {
		env.Get(t, issuer)
		issuer.Spec.CRLDistributionPoints = nil
		if err := env.Client.Update(ctx, issuer); err != nil {
			return err
		}
		return nil
	})
	checkIssued(t, request)
	checkEvents(t, request, "IssuerNotReady", "CertificateIssued")
}

// withoutValidation disables the rules of the schema until restore is called.
func withoutValidation(t *testing.T) (restore func()) {
	t.Helper()
	const name = "selfsignedissuers.selfsigned.cert-manager.io"
	edit := func(edit func(*apiextensions.CustomResourceDefinition)) {
		crd := &apiextensions.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Name: name}}
		if err := env.Client.Get(context.Background(), client.ObjectKeyFromObject(crd), crd); err != nil {
			t.Error(err)
		}
		edit(crd)
		if err := env.Client.Update(context.Background(), crd); err != nil {
			t.Error(err)
		}
	}
	var original *apiextensions.JSONSchemaProps
	edit(func(crd *apiextensions.CustomResourceDefinition) {
		schema := crd.Spec.Versions[0].Schema
		original = schema.OpenAPIV3Schema.DeepCopy()
		keep := true
		schema.OpenAPIV3Schema.Properties["spec"] = apiextensions.JSONSchemaProps{Type: "object", XPreserveUnknownFields: &keep}
	})
	put := func() {
		edit(func(crd *apiextensions.CustomResourceDefinition) {
			crd.Spec.Versions[0].Schema.OpenAPIV3Schema = original
		})
	}
	t.Cleanup(put)
	return put
}
