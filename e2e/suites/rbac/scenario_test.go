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
	"sigs.k8s.io/controller-runtime/pkg/client"

	selfsigned "github.com/cert-manager/selfsigned-issuer/api/v1alpha1"
)

// useIssuer creates and changes an issuer, and waits for its Ready condition.
func useIssuer(t *testing.T, namespace string) {
	t.Helper()
	var issuer client.Object = &selfsigned.ClusterSelfSignedIssuer{ObjectMeta: metav1.ObjectMeta{Name: "issuer"}}
	conditions := func() []metav1.Condition { return issuer.(*selfsigned.ClusterSelfSignedIssuer).Status.Conditions }
	spec := func() *selfsigned.SelfSignedIssuerSpec { return &issuer.(*selfsigned.ClusterSelfSignedIssuer).Spec }
	if namespace != "" {
		issuer = &selfsigned.SelfSignedIssuer{ObjectMeta: metav1.ObjectMeta{Name: "issuer", Namespace: namespace}}
		conditions = func() []metav1.Condition { return issuer.(*selfsigned.SelfSignedIssuer).Status.Conditions }
		spec = func() *selfsigned.SelfSignedIssuerSpec { return &issuer.(*selfsigned.SelfSignedIssuer).Spec }
	}
	env.Create(t, issuer)
	t.Cleanup(func() { remove(t, issuer) })
	for range 2 {
		env.Eventually(t, "a Ready issuer", func(context.Context) error {
			env.Get(t, issuer)
			ready := apimeta.FindStatusCondition(conditions(), "Ready")
			if ready == nil || ready.Status != metav1.ConditionTrue || ready.ObservedGeneration != issuer.GetGeneration() {
				return fmt.Errorf("%+v", ready)
			}
			return nil
		})
		before := issuer.DeepCopyObject().(client.Object)
		spec().Backdate = &metav1.Duration{Duration: time.Duration(issuer.GetGeneration()) * time.Minute}
		if err := env.Client.Patch(t.Context(), issuer, client.MergeFrom(before)); err != nil {
			t.Fatal(err)
		}
	}
}

// requestCertificate creates a request before its Secret, and waits for the certificate.
func requestCertificate(t *testing.T, namespace, kind string) {
	t.Helper()
	csr, key := newCSR(t)
	request := newRequest(t, namespace, kind, csr)
	awaitReason(t, request, cmapi.CertificateRequestReasonPending)
	secret := keySecret(t, namespace, request.Annotations[cmapi.CertificateRequestPrivateKeyAnnotationKey], key)
	env.Create(t, secret)
	awaitReason(t, request, cmapi.CertificateRequestReasonIssued)
}

func newCSR(t *testing.T) (csr []byte, key crypto.Signer) {
	t.Helper()
	csr, key, err := gen.CSR(x509.ECDSA, gen.SetCSRCommonName("example.com"))
	if err != nil {
		t.Fatal(err)
	}
	return csr, key
}

// newRequest creates an approved request with its own Secret.
func newRequest(t *testing.T, namespace, kind string, csr []byte) *cmapi.CertificateRequest {
	t.Helper()
	request := gen.CertificateRequest("", gen.SetCertificateRequestCSR(csr), gen.SetCertificateRequestIssuer(
		cmmeta.IssuerReference{Group: selfsigned.GroupName, Kind: kind, Name: "issuer"}))
	request.GenerateName, request.Namespace = "request-", namespace
	request.Annotations = map[string]string{cmapi.CertificateRequestPrivateKeyAnnotationKey: newName("key")}
	env.Create(t, request)
	t.Cleanup(func() { remove(t, request) })
	request.Status.Conditions = []cmapi.CertificateRequestCondition{{Type: cmapi.CertificateRequestConditionApproved, Status: cmmeta.ConditionTrue, Reason: "Test"}}
	if err := env.Client.Status().Update(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	return request
}

func awaitReason(t *testing.T, request *cmapi.CertificateRequest, reason string) cmapi.CertificateRequestCondition {
	t.Helper()
	var ready cmapi.CertificateRequestCondition
	env.Eventually(t, "a request that is "+reason, func(context.Context) error {
		env.Get(t, request)
		for _, condition := range request.Status.Conditions {
			if condition.Type == cmapi.CertificateRequestConditionReady {
				ready = condition
			}
		}
		if ready.Reason == reason {
			return nil
		}
		return fmt.Errorf("%+v", ready)
	})
	return ready
}

func keySecret(t *testing.T, namespace, name string, key crypto.Signer) *corev1.Secret {
	t.Helper()
	pem, err := pki.EncodePKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	label := map[string]string{cmapi.PartOfCertManagerControllerLabelKey: "true"}
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: label}, Data: map[string][]byte{"tls.key": pem}}
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
	env.Create(t, author)
	t.Cleanup(func() { remove(t, author) })
	csr := &certificatesv1.CertificateSigningRequest{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "rights-", Annotations: map[string]string{keyAnnotation: newName("csr-key")}},
		Spec: certificatesv1.CertificateSigningRequestSpec{
			Request: request, SignerName: "selfsignedissuers.selfsigned.cert-manager.io/sandbox.issuer",
			Usages: []certificatesv1.KeyUsage{certificatesv1.UsageDigitalSignature},
		},
	}
	env.Create(t, csr)
	t.Cleanup(func() { remove(t, csr) })
	csr.Status.Conditions = []certificatesv1.CertificateSigningRequestCondition{{Type: certificatesv1.CertificateApproved, Status: corev1.ConditionTrue, Reason: "Test"}}
	if err := env.Client.SubResource("approval").Update(t.Context(), csr); err != nil {
		t.Fatal(err)
	}
	return csr, key
}

// signKubernetesCSR waits for the certificate of a Kubernetes CSR that was pending twice.
func signKubernetesCSR(t *testing.T, _ *authority) {
	t.Helper()
	csr, key := newKubernetesCSR(t)
	loseKeyAgain(t, csr)
	awaitEvents(t, csr, "MissingSecret", 2)
	env.Create(t, keySecret(t, sandbox, csr.Annotations[keyAnnotation], key))
	env.Eventually(t, "the certificate of a Kubernetes CSR", func(context.Context) error {
		env.Get(t, csr)
		if len(csr.Status.Certificate) == 0 {
			return fmt.Errorf("%+v", csr.Status)
		}
		return nil
	})
}

func newName(prefix string) string { return fmt.Sprintf("%s-%d", prefix, time.Now().UnixNano()) }

// awaitEvents waits until an event was sent a number of times.
func awaitEvents(t *testing.T, about client.Object, reason string, times int) {
	t.Helper()
	env.Eventually(t, "event "+reason, func(ctx context.Context) error {
		var events eventsv1.EventList
		if err := env.Client.List(ctx, &events); err != nil {
			return err
		}
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
