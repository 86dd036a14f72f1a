// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package issuance_test

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"testing"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	"github.com/cert-manager/cert-manager/pkg/util/pki"
	authorizationv1 "k8s.io/api/authorization/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	selfsigned "github.com/cert-manager/selfsigned-issuer/api/v1alpha1"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
)

type (
	// CSR is short for a Kubernetes CSR.
	CSR = certificatesv1.CertificateSigningRequest
	// requestEdit changes a request before it is created.
	requestEdit = func(*cmapi.CertificateRequest)
)

// awaitPermission waits until a changed role or binding has taken effect in the API server, which
// watches them.
func awaitPermission(t *testing.T, user string, allowed bool, what authorizationv1.ResourceAttributes) {
	t.Helper()
	env.Eventually(t, fmt.Sprintf("%s: %s %s: %t", user, what.Verb, what.Resource, allowed), func(ctx context.Context) error {
		review := &authorizationv1.SubjectAccessReview{
			Spec: authorizationv1.SubjectAccessReviewSpec{User: user, ResourceAttributes: &what},
		}
		if err := env.Client.Create(ctx, review); err != nil {
			return err
		}
		if review.Status.Allowed != allowed {
			return fmt.Errorf("allowed: %t, %s", review.Status.Allowed, review.Status.Reason)
		}
		return nil
	})
}

// newNamespace creates a namespace with a SelfSignedIssuer called "issuer" in it.
func newNamespace(t *testing.T, labels ...string) string {
	t.Helper()
	return newNamespaceWith(t, selfsigned.SelfSignedIssuerSpec{}, labels...)
}

func newNamespaceWith(t *testing.T, spec selfsigned.SelfSignedIssuerSpec, labels ...string) string {
	t.Helper()
	issuer := newIssuer(expect.NewNamespace(t, env.Client, labels...), "issuer")
	issuer.Spec = spec
	env.Create(t, issuer)
	return issuer.Namespace
}

// newNamespaceAndKey creates a namespace with issuer "issuer", and a key in Secret "key".
func newNamespaceAndKey(t *testing.T) (string, crypto.Signer) {
	t.Helper()
	namespace, key := newNamespace(t), newKey(t)
	createKeySecret(t, namespace, key)
	return namespace, key
}

func newIssuer(namespace, name string) *selfsigned.SelfSignedIssuer {
	return &selfsigned.SelfSignedIssuer{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
}

func newClusterIssuer(t *testing.T) string {
	t.Helper()
	issuer := &selfsigned.ClusterSelfSignedIssuer{ObjectMeta: metav1.ObjectMeta{GenerateName: "e2e-"}}
	env.Create(t, issuer)
	env.Await(t, "a Ready issuer", issuer, func() bool {
		return apimeta.IsStatusConditionTrue(issuer.Status.Conditions, "Ready")
	})
	return issuer.Name
}

// changeIssuer sets the CRL distribution points of a namespace's issuer.
func changeIssuer(t *testing.T, namespace string, distributionPoints ...string) {
	t.Helper()
	issuer := newIssuer(namespace, "issuer")
	env.Change(t, issuer, func() { issuer.Spec.CRLDistributionPoints = distributionPoints })
}

// awaitChecked waits until the current spec of a namespace's issuer has been checked.
func awaitChecked(t *testing.T, namespace string) *selfsigned.SelfSignedIssuer {
	t.Helper()
	issuer := newIssuer(namespace, "issuer")
	env.Await(t, "the check of the issuer", issuer, func() bool {
		ready := apimeta.FindStatusCondition(issuer.Status.Conditions, "Ready")
		return ready != nil && ready.Status == metav1.ConditionTrue && ready.ObservedGeneration == issuer.Generation
	})
	return issuer
}

func newKey(t *testing.T) crypto.Signer {
	t.Helper()
	key, err := pki.GenerateECPrivateKey(256)
	expect.NoError(t, err)
	return key
}

func keyPEM(t *testing.T, key crypto.Signer) []byte {
	t.Helper()
	encoded, err := pki.EncodePKCS8PrivateKey(key)
	expect.NoError(t, err)
	return encoded
}

// keySecret returns a Secret with cert-manager's label, which is watched.
func keySecret(namespace, name string, data map[string][]byte) *corev1.Secret {
	secret := &corev1.Secret{Data: data}
	secret.Namespace, secret.Name = namespace, name
	secret.Labels = map[string]string{cmapi.PartOfCertManagerControllerLabelKey: "true"}
	return secret
}

func createKeySecret(t *testing.T, namespace string, key crypto.Signer) {
	t.Helper()
	env.Create(t, keySecret(namespace, "key", map[string][]byte{"tls.key": keyPEM(t, key)}))
}

func replaceKeySecret(t *testing.T, namespace string, key crypto.Signer) {
	t.Helper()
	updateSecret(t, namespace, "key", keyPEM(t, key))
}

func updateSecret(t *testing.T, namespace, name string, tlsKey []byte) {
	t.Helper()
	env.Update(t, keySecret(namespace, name, map[string][]byte{"tls.key": tlsKey}))
}

func encodeCSR(t *testing.T, key crypto.Signer, request x509.CertificateRequest) []byte {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &request, key)
	expect.NoError(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
}

func csrPEM(t *testing.T, key crypto.Signer, commonName string) []byte {
	t.Helper()
	return encodeCSR(t, key, x509.CertificateRequest{
		Subject: pkix.Name{CommonName: commonName}, DNSNames: []string{"example.com"},
	})
}

// csrWith returns a PKCS #10 request of a new key with these extensions.
func csrWith(t *testing.T, extensions ...pkix.Extension) []byte {
	t.Helper()
	return encodeCSR(t, newKey(t), x509.CertificateRequest{
		Subject: pkix.Name{CommonName: "example.com"}, ExtraExtensions: extensions,
	})
}

// createRequest creates a bare CertificateRequest of issuer "issuer" for Secret "key", which
// cert-manager's approver approves. The edits change it before.
func createRequest(t *testing.T, namespace string, key crypto.Signer, edits ...requestEdit) *cmapi.CertificateRequest {
	t.Helper()
	request := &cmapi.CertificateRequest{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, GenerateName: "request-"},
		Spec: cmapi.CertificateRequestSpec{
			Request:   csrPEM(t, key, "example.com"),
			IssuerRef: cmmeta.IssuerReference{Group: selfsigned.GroupName, Kind: "SelfSignedIssuer", Name: "issuer"},
		},
	}
	for _, edit := range append([]requestEdit{forSecret("key")}, edits...) {
		edit(request)
	}
	env.Create(t, request)
	return request
}

// forSecret is for the private key in another Secret.
func forSecret(name string) requestEdit {
	return func(request *cmapi.CertificateRequest) {
		request.Annotations = map[string]string{cmapi.CertificateRequestPrivateKeyAnnotationKey: name}
	}
}

func forIssuer(name string) requestEdit {
	return func(request *cmapi.CertificateRequest) { request.Spec.IssuerRef.Name = name }
}

func named(name string) requestEdit {
	return func(request *cmapi.CertificateRequest) { request.GenerateName, request.Name = "", name }
}

func withoutAnnotations(request *cmapi.CertificateRequest) { request.Annotations = nil }

const (
	keyAnnotation      = "experimental.cert-manager.io/private-key-secret-name"
	durationAnnotation = "experimental.cert-manager.io/request-duration"
	isCAAnnotation     = "experimental.cert-manager.io/request-is-ca"
	clusterSigner      = "clusterselfsignedissuers.selfsigned.cert-manager.io/"
	namespacedSigner   = "selfsignedissuers.selfsigned.cert-manager.io/"
)

// newCSR returns a CSR for a signer and Secret "key".
func newCSR(t *testing.T, signerName string, key crypto.Signer) *CSR {
	t.Helper()
	return &CSR{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "e2e-", Annotations: map[string]string{keyAnnotation: "key"}},
		Spec: certificatesv1.CertificateSigningRequestSpec{
			Request:    csrPEM(t, key, "example.com"),
			SignerName: signerName,
			Usages:     []certificatesv1.KeyUsage{certificatesv1.UsageDigitalSignature, certificatesv1.UsageServerAuth},
		},
	}
}

// approvedCSR creates and approves a CSR of issuer "issuer" in the namespace.
func approvedCSR(t *testing.T, namespace string, key crypto.Signer) *CSR {
	t.Helper()
	csr := newCSR(t, namespacedSigner+namespace+".issuer", key)
	createApproved(t, env.Client, csr)
	return csr
}

// createApproved creates a CSR as its author, and approves it like "kubectl certificate approve".
func createApproved(t *testing.T, author client.Client, csr *CSR) {
	t.Helper()
	expect.Create(t, author, csr)
	decide(t, csr, certificatesv1.CertificateApproved)
}

func decide(t *testing.T, csr *CSR, decision certificatesv1.RequestConditionType) {
	t.Helper()
	csr.Status.Conditions = append(csr.Status.Conditions, certificatesv1.CertificateSigningRequestCondition{
		Type: decision, Status: corev1.ConditionTrue, Reason: "Test", Message: "by a test",
	})
	expect.NoError(t, env.Client.SubResource("approval").Update(t.Context(), csr))
}

// onlyRequest waits for the first request in a namespace.
func onlyRequest(t *testing.T, namespace string) *cmapi.CertificateRequest {
	t.Helper()
	var list cmapi.CertificateRequestList
	env.Eventually(t, "the request", func(context.Context) error {
		if env.List(t, &list, client.InNamespace(namespace)); len(list.Items) == 0 {
			return errors.New("there is none")
		}
		return nil
	})
	return &list.Items[0]
}
