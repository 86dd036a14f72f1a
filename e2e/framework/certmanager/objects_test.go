// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package certmanager

import (
	"encoding/base64"
	"strings"
	"testing"

	apiutil "github.com/cert-manager/cert-manager/pkg/api/util"
	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
)

const issuerGroup = "selfsigned.cert-manager.io"

func inTreeIssuer(namespace string) *cmapi.Issuer {
	return &cmapi.Issuer{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "in-tree"},
		Spec:       cmapi.IssuerSpec{IssuerConfig: cmapi.IssuerConfig{SelfSigned: &cmapi.SelfSignedIssuer{}}},
	}
}

func inTreeCertificate(namespace string) *cmapi.Certificate {
	return &cmapi.Certificate{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "leaf"},
		Spec: cmapi.CertificateSpec{
			SecretName: "leaf-tls",
			CommonName: "leaf",
			PrivateKey: &cmapi.CertificatePrivateKey{Algorithm: cmapi.ECDSAKeyAlgorithm, Size: 256},
			IssuerRef:  cmmeta.IssuerReference{Group: "cert-manager.io", Kind: "Issuer", Name: "in-tree"},
		},
	}
}

func certificateRequest(t *testing.T, namespace, name string, issuer cmmeta.IssuerReference) *cmapi.CertificateRequest {
	t.Helper()
	probe, err := probeRequest()
	if err != nil {
		t.Fatal(err)
	}
	encoded, _, err := unstructured.NestedString(probe.Object, "spec", "request")
	if err != nil {
		t.Fatal(err)
	}
	csr, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		t.Fatal(err)
	}
	return &cmapi.CertificateRequest{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: cmapi.CertificateRequestSpec{
			Request:   csr,
			Usages:    []cmapi.KeyUsage{cmapi.UsageDigitalSignature, cmapi.UsageKeyEncipherment},
			IssuerRef: issuer,
		},
	}
}

func certificateReady(certificate *cmapi.Certificate) bool {
	return apiutil.CertificateHasCondition(certificate, cmapi.CertificateCondition{
		Type: cmapi.CertificateConditionReady, Status: cmmeta.ConditionTrue,
	})
}

// approvedReason returns the reason of the Approved condition, or nothing.
func approvedReason(request *cmapi.CertificateRequest) string {
	condition := apiutil.GetCertificateRequestCondition(request, cmapi.CertificateRequestConditionApproved)
	if condition == nil || condition.Status != cmmeta.ConditionTrue {
		return ""
	}
	return condition.Reason
}

// createIssuerCRDs creates CRDs with the names of selfsigned-issuer's, because cert-manager's
// webhook looks up the resource of an issuer's kind.
func createIssuerCRDs(t *testing.T, c client.Client) {
	t.Helper()
	for kind, scope := range map[string]apiextensionsv1.ResourceScope{
		"SelfSignedIssuer":        apiextensionsv1.NamespaceScoped,
		"ClusterSelfSignedIssuer": apiextensionsv1.ClusterScoped,
	} {
		plural := strings.ToLower(kind) + "s"
		crd := &apiextensionsv1.CustomResourceDefinition{
			ObjectMeta: metav1.ObjectMeta{Name: plural + "." + issuerGroup},
			Spec: apiextensionsv1.CustomResourceDefinitionSpec{
				Group: issuerGroup,
				Scope: scope,
				Names: apiextensionsv1.CustomResourceDefinitionNames{Kind: kind, Plural: plural},
				Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{
					Name: "v1alpha1", Served: true, Storage: true,
					Schema: &apiextensionsv1.CustomResourceValidation{
						OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{Type: "object"},
					},
				}},
			},
		}
		expect.Create(t, c, crd)
		eventually(t, c, crd, func() bool {
			for _, condition := range crd.Status.Conditions {
				if condition.Type == apiextensionsv1.Established && condition.Status == apiextensionsv1.ConditionTrue {
					return true
				}
			}
			return false
		})
	}
}

// grantApproval grants cert-manager's controllers the same permission as the default overlay.
func grantApproval(t *testing.T, c client.Client) {
	t.Helper()
	name := "cert-manager-controller-approve:selfsigned-cert-manager-io"
	expect.Create(t, c, &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Rules: []rbacv1.PolicyRule{{
			APIGroups:     []string{"cert-manager.io"},
			Resources:     []string{"signers"},
			Verbs:         []string{"approve"},
			ResourceNames: []string{"selfsignedissuers." + issuerGroup + "/*", "clusterselfsignedissuers." + issuerGroup + "/*"},
		}},
	})
	expect.Create(t, c, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name},
		Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: Namespace, Name: ControllerServiceAccount}},
	})
}
