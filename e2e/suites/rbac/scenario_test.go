// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package rbac

import (
	"context"
	"crypto"
	"crypto/x509"
	"fmt"
	"testing"
	"time"

	cmutil "github.com/cert-manager/cert-manager/pkg/api/util"
	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	"github.com/cert-manager/cert-manager/pkg/util/pki"
	"github.com/cert-manager/cert-manager/test/unit/gen"
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	selfsigned "github.com/cert-manager/selfsigned-issuer/api/v1alpha1"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
)

// useIssuer creates and changes an issuer, and waits for its Ready condition.
func useIssuer(t *testing.T, namespace string) {
	t.Helper()
	var issuer interface {
		client.Object
		GetConditions() []metav1.Condition
	} = &selfsigned.SelfSignedIssuer{ObjectMeta: metav1.ObjectMeta{Name: "issuer", Namespace: namespace}}
	if namespace == "" {
		issuer = &selfsigned.ClusterSelfSignedIssuer{ObjectMeta: metav1.ObjectMeta{Name: "issuer"}}
	}
	createForTest(t, issuer)
	for range 2 {
		env.Await(t, "a Ready issuer", issuer, func() bool {
			ready := apimeta.FindStatusCondition(issuer.GetConditions(), "Ready")
			return ready != nil && ready.Status == metav1.ConditionTrue && ready.ObservedGeneration == issuer.GetGeneration()
		})
		patch := fmt.Appendf(nil, `{"spec":{"backdate":"%dm"}}`, issuer.GetGeneration())
		expect.NoError(t, env.Client.Patch(t.Context(), issuer, client.RawPatch(types.MergePatchType, patch)))
	}
}

// createForTest creates objects that are removed when the test ends.
func createForTest(t *testing.T, objects ...client.Object) {
	t.Helper()
	for _, object := range objects {
		env.Create(t, object)
		t.Cleanup(func() { remove(t, object) })
	}
}

// requestCertificate creates a request before its Secret, and waits for the certificate.
func requestCertificate(t *testing.T, namespace, kind string) {
	t.Helper()
	csr, key := newCSR(t)
	request := newRequest(t, namespace, kind, csr)
	awaitReason(t, request, cmapi.CertificateRequestReasonPending)
	env.Create(t, keySecret(t, namespace, request.Annotations[cmapi.CertificateRequestPrivateKeyAnnotationKey], key))
	awaitReason(t, request, cmapi.CertificateRequestReasonIssued)
}

func newCSR(t *testing.T) (csr []byte, key crypto.Signer) {
	t.Helper()
	csr, key, err := gen.CSR(x509.ECDSA, gen.SetCSRCommonName("example.com"))
	expect.NoError(t, err)
	return csr, key
}

// newRequest creates an approved request with its own Secret.
func newRequest(t *testing.T, namespace, kind string, csr []byte) *cmapi.CertificateRequest {
	t.Helper()
	request := gen.CertificateRequest("", gen.SetCertificateRequestCSR(csr), gen.SetCertificateRequestIssuer(
		cmmeta.IssuerReference{Group: selfsigned.GroupName, Kind: kind, Name: "issuer"}))
	request.GenerateName, request.Namespace = "request-", namespace
	request.Annotations = map[string]string{cmapi.CertificateRequestPrivateKeyAnnotationKey: newName("key")}
	createForTest(t, request)
	cmutil.SetCertificateRequestCondition(request, cmapi.CertificateRequestConditionApproved, cmmeta.ConditionTrue, "Test", "")
	expect.NoError(t, env.Client.Status().Update(t.Context(), request))
	return request
}

// awaitReason waits for a Ready condition, and returns its message.
func awaitReason(t *testing.T, request *cmapi.CertificateRequest, reason string) string {
	t.Helper()
	var ready *cmapi.CertificateRequestCondition
	env.Await(t, "a request that is "+reason, request, func() bool {
		ready = cmutil.GetCertificateRequestCondition(request, cmapi.CertificateRequestConditionReady)
		return ready != nil && ready.Reason == reason
	})
	return ready.Message
}

func keySecret(t *testing.T, namespace, name string, key crypto.Signer) *corev1.Secret {
	t.Helper()
	pem, err := pki.EncodePKCS8PrivateKey(key)
	expect.NoError(t, err)
	label := map[string]string{cmapi.PartOfCertManagerControllerLabelKey: "true"}
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: label}, Data: map[string][]byte{"tls.key": pem},
	}
}

const keyAnnotation = "experimental.cert-manager.io/private-key-secret-name"

// newKubernetesCSR creates an approved CSR for a missing Secret, whose author may use the issuer.
func newKubernetesCSR(t *testing.T) (*certificatesv1.CertificateSigningRequest, crypto.Signer) {
	t.Helper()
	request, key := newCSR(t)
	author := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "author-"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: "admin"}},
	}
	csr := &certificatesv1.CertificateSigningRequest{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "rights-", Annotations: map[string]string{keyAnnotation: newName("csr-key")}},
		Spec: certificatesv1.CertificateSigningRequestSpec{
			Request: request, SignerName: "selfsignedissuers.selfsigned.cert-manager.io/sandbox.issuer",
			Usages: []certificatesv1.KeyUsage{certificatesv1.UsageDigitalSignature},
		},
	}
	createForTest(t, author, csr)
	csr.Status.Conditions = []certificatesv1.CertificateSigningRequestCondition{
		{Type: certificatesv1.CertificateApproved, Status: corev1.ConditionTrue, Reason: "Test"},
	}
	expect.NoError(t, env.Client.SubResource("approval").Update(t.Context(), csr))
	return csr, key
}

// signKubernetesCSR waits for the certificate of a Kubernetes CSR that was pending twice.
func signKubernetesCSR(t *testing.T, _ *authority) {
	t.Helper()
	csr, key := newKubernetesCSR(t)
	loseKeyAgain(t, csr)
	awaitEvents(t, csr, "MissingSecret", 2)
	env.Create(t, keySecret(t, sandbox, csr.Annotations[keyAnnotation], key))
	env.Await(t, "the certificate of a Kubernetes CSR", csr, func() bool { return len(csr.Status.Certificate) > 0 })
}

// loseKeyAgain deletes the Secret, so that the CSR is pending again.
func loseKeyAgain(t *testing.T, csr *certificatesv1.CertificateSigningRequest) {
	t.Helper()
	_, wrong := newCSR(t)
	secret := keySecret(t, sandbox, csr.Annotations[keyAnnotation], wrong)
	awaitEvents(t, csr, "MissingSecret", 1)
	env.Create(t, secret)
	awaitEvents(t, csr, "WaitingForMatchingKey", 1)
	remove(t, secret)
}

func newName(prefix string) string { return fmt.Sprintf("%s-%d", prefix, time.Now().UnixNano()) }

func awaitEvents(t *testing.T, about client.Object, reason string, times int) {
	t.Helper()
	env.Eventually(t, "event "+reason, func(context.Context) error {
		var events eventsv1.EventList
		env.List(t, &events)
		sent := 0
		for _, event := range events.Items {
			if event.Regarding.UID == about.GetUID() && event.Reason == reason {
				sent++
			}
		}
		if sent == times {
			return nil
		}
		return fmt.Errorf("sent %d times, want %d", sent, times)
	})
}

func remove(t *testing.T, object client.Object) {
	t.Helper()
	if err := env.Client.Delete(context.WithoutCancel(t.Context()), object); client.IgnoreNotFound(err) != nil {
		t.Error(err)
	}
}
