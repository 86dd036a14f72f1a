// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package issuance_test

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	selfsigned "github.com/cert-manager/selfsigned-issuer/api/v1alpha1"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/certtext"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
)

const (
	keyAnnotation      = "experimental.cert-manager.io/private-key-secret-name"
	durationAnnotation = "experimental.cert-manager.io/request-duration"
	isCAAnnotation     = "experimental.cert-manager.io/request-is-ca"
	clusterSigner      = "clusterselfsignedissuers.selfsigned.cert-manager.io/"
	namespacedSigner   = "selfsignedissuers.selfsigned.cert-manager.io/"
)

// newClusterIssuer creates a ClusterSelfSignedIssuer for the test and waits until it is Ready.
func newClusterIssuer(t *testing.T) string {
	t.Helper()
	issuer := &selfsigned.ClusterSelfSignedIssuer{ObjectMeta: metav1.ObjectMeta{GenerateName: "e2e-"}}
	env.Create(t, issuer)
	env.Eventually(t, "ClusterSelfSignedIssuer "+issuer.Name, func(context.Context) error {
		env.Get(t, issuer)
		for _, condition := range issuer.Status.Conditions {
			if condition.Type == "Ready" && condition.Status == metav1.ConditionTrue {
				return nil
			}
		}
		return errors.New("is not Ready")
	})
	return issuer.Name
}

// newCSR returns a CSR for a signer and a Secret.
func newCSR(t *testing.T, signerName, secret string, key crypto.Signer) *certificatesv1.CertificateSigningRequest {
	t.Helper()
	return &certificatesv1.CertificateSigningRequest{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "e2e-", Annotations: map[string]string{keyAnnotation: secret}},
		Spec: certificatesv1.CertificateSigningRequestSpec{
			Request:    csrPEM(t, key, "example.com"),
			SignerName: signerName,
			Usages:     []certificatesv1.KeyUsage{certificatesv1.UsageDigitalSignature, certificatesv1.UsageServerAuth},
		},
	}
}

// approve approves a CSR like "kubectl certificate approve".
func approve(t *testing.T, csr *certificatesv1.CertificateSigningRequest) {
	t.Helper()
	decide(t, csr, certificatesv1.CertificateApproved)
}

func decide(t *testing.T, csr *certificatesv1.CertificateSigningRequest, decision certificatesv1.RequestConditionType) {
	t.Helper()
	clientset, err := kubernetes.NewForConfig(env.ControlPlane.AdminConfig())
	if err != nil {
		t.Fatal(err)
	}
	csr.Status.Conditions = append(csr.Status.Conditions, certificatesv1.CertificateSigningRequestCondition{
		Type: decision, Status: corev1.ConditionTrue, Reason: "Test", Message: "by a test",
	})
	if _, err := clientset.CertificatesV1().CertificateSigningRequests().UpdateApproval(t.Context(), csr.Name, csr, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// clusterKey puts a key into the cluster resource namespace and returns the Secret's name.
func clusterKey(t *testing.T, key crypto.Signer) string {
	t.Helper()
	secret := keySecret("cert-manager", "", map[string][]byte{"tls.key": keyPEM(t, key)})
	secret.GenerateName = "e2e-"
	env.Create(t, secret)
	return secret.Name
}

func awaitCSRIssued(t *testing.T, csr *certificatesv1.CertificateSigningRequest, secret string) {
	t.Helper()
	env.Eventually(t, "certificate of CSR "+csr.Name, func(context.Context) error {
		env.Get(t, csr)
		if len(csr.Status.Certificate) > 0 {
			return nil
		}
		return fmt.Errorf("conditions %+v", csr.Status.Conditions)
	})
	awaitEvent(t, csr, corev1.EventTypeNormal, "CertificateIssued", "Secret "+secret)
	checkWrites(t, csr, writesCSR)
}

// awaitCSRFailed waits for a failure with these parts in its message, and checks that there are no
// other events than its own and the earlier ones.
func awaitCSRFailed(t *testing.T, csr *certificatesv1.CertificateSigningRequest, reason string, mentions []string, earlier ...string) {
	t.Helper()
	message := awaitEvent(t, csr, corev1.EventTypeWarning, reason, mentions...)
	env.Eventually(t, "failure of CSR "+csr.Name, func(context.Context) error {
		env.Get(t, csr)
		for _, condition := range csr.Status.Conditions {
			if condition.Type == certificatesv1.CertificateFailed && condition.Reason == reason && condition.Message == message {
				return nil
			}
		}
		return fmt.Errorf("\n got %+v\nwant %s: %s", csr.Status.Conditions, reason, message)
	})
	if len(csr.Status.Certificate) > 0 {
		t.Error("a failed CSR has a certificate")
	}
	if got := conditionTypes(csr); !slices.Equal(got, []string{"Approved", "Failed"}) {
		t.Errorf("the conditions are %q, want the approver's and Failed", got)
	}
	checkEvents(t, csr, append(earlier, reason)...)
}

func TestCSRsOfAClusterIssuer(t *testing.T) {
	t.Parallel()
	key := newKey(t)
	secret := clusterKey(t, key)
	csr := newCSR(t, clusterSigner+newClusterIssuer(t), secret, key)
	csr.Annotations[isCAAnnotation] = "true"
	csr.Annotations[durationAnnotation] = "1h"
	csr.Spec.Usages = []certificatesv1.KeyUsage{certificatesv1.UsageCertSign, certificatesv1.UsageCRLSign}
	env.Create(t, csr)
	approve(t, csr)
	awaitCSRIssued(t, csr, "cert-manager/"+secret)
	certificate := mustParse(t, csr.Status.Certificate)
	if !certificate.IsCA {
		t.Error("the certificate is not for a CA, although the annotation request-is-ca is set")
	}
	if got := certificate.NotAfter.Sub(certificate.NotBefore); got != time.Hour {
		t.Errorf("the certificate is valid for %s, want the annotation's 1h", got)
	}
}

func TestCSRDurations(t *testing.T) {
	issuer := newClusterIssuer(t)
	for _, test := range []struct {
		name       string
		annotation string
		seconds    int32
		want       time.Duration
		problem    string
	}{
		{name: "default", want: 90 * 24 * time.Hour},
		{name: "from spec.expirationSeconds", seconds: 1200, want: 20 * time.Minute},
		{name: "the annotation has priority", annotation: "2h", seconds: 1200, want: 2 * time.Hour},
		{name: "the minimum", annotation: "600s", want: 10 * time.Minute},
		{name: "below the minimum", annotation: "599s", problem: "9m59s"},
		{name: "not a duration", annotation: "a day", problem: `failed to parse requested duration on annotation "experimental.cert-manager.io/request-duration": time: invalid duration "a day"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			key := newKey(t)
			secret := clusterKey(t, key)
			csr := newCSR(t, clusterSigner+issuer, secret, key)
			if test.annotation != "" {
				csr.Annotations[durationAnnotation] = test.annotation
			}
			if test.seconds > 0 {
				csr.Spec.ExpirationSeconds = &test.seconds
			}
			env.Create(t, csr)
			approve(t, csr)
			if test.problem != "" {
				awaitCSRFailed(t, csr, "InvalidDuration", []string{test.problem, "10m0s"})
				return
			}
			awaitCSRIssued(t, csr, "cert-manager/"+secret)
			certificate := mustParse(t, csr.Status.Certificate)
			if got := certificate.NotAfter.Sub(certificate.NotBefore); got != test.want {
				t.Errorf("the certificate is valid for %s, want %s", got, test.want)
			}
		})
	}
}

func TestCSRWithoutAnnotation(t *testing.T) {
	t.Parallel()
	csr := newCSR(t, clusterSigner+newClusterIssuer(t), "", newKey(t))
	csr.Annotations = nil
	env.Create(t, csr)
	approve(t, csr)
	awaitCSRFailed(t, csr, "MissingAnnotation", []string{"annotation experimental.cert-manager.io/private-key-secret-name"})
}

func TestCSRNotApprovedIsNotSigned(t *testing.T) {
	t.Parallel()
	namespace, key := newNamespace(t), newKey(t)
	createKeySecret(t, namespace, key)
	csr := newCSR(t, namespacedSigner+namespace+".issuer", "key", key)
	env.Create(t, csr)
	barrier(t, namespace, key)
	env.Get(t, csr)
	if len(csr.Status.Certificate) > 0 || len(csr.Status.Conditions) > 0 {
		t.Errorf("the CSR without approval has the status %+v", csr.Status)
	}
}

// TestCSROfANamespacedIssuer needs the permission to reference the issuer in our API group, not in
// cert-manager's.
func TestCSROfANamespacedIssuer(t *testing.T) {
	for _, test := range []struct {
		name     string
		group    string
		resource string // name of the issuer in the rule
		allowed  bool
	}{
		{"no permission", "", "", false},
		{"permission in cert-manager's group", "cert-manager.io", "issuer", false},
		{"permission for another issuer", selfsigned.GroupName, "other", false},
		{"permission for the issuer", selfsigned.GroupName, "issuer", true},
		{"permission for all issuers", selfsigned.GroupName, "*", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			namespace, key := newNamespace(t), newKey(t)
			createKeySecret(t, namespace, key)
			user := "alice-" + namespace
			grant(t, namespace, user, test.group, test.resource)
			csr := newCSR(t, namespacedSigner+namespace+".issuer", "key", key)
			expect.Create(t, clientAs(t, user), csr) // as its author
			approve(t, csr)
			if test.allowed {
				awaitCSRIssued(t, csr, namespace+"/key")
				return
			}
			awaitCSRFailed(t, csr, "DeniedReference", []string{"ser " + user, "SelfSignedIssuer " + namespace + "/issuer", `"reference"`, `"signers"`})
		})
	}
}

// grant lets a user create CSRs, and reference signers of a group in a namespace.
func grant(t *testing.T, namespace, user, group, resource string) {
	t.Helper()
	subjects := []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: user}}
	env.Create(t, &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: user}, Rules: []rbacv1.PolicyRule{{
		APIGroups: []string{"certificates.k8s.io"}, Resources: []string{"certificatesigningrequests"}, Verbs: []string{"create"},
	}}})
	env.Create(t, &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: user}, Subjects: subjects,
		RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: user}})
	awaitPermission(t, user, true, authorizationv1.ResourceAttributes{Group: "certificates.k8s.io", Resource: "certificatesigningrequests", Verb: "create"})
	if group == "" {
		return
	}
	env.Create(t, &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "reference"}, Rules: []rbacv1.PolicyRule{{
		APIGroups: []string{group}, Resources: []string{"signers"}, ResourceNames: []string{resource}, Verbs: []string{"reference"},
	}}})
	env.Create(t, &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "reference"}, Subjects: subjects,
		RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "reference"}})
	awaitPermission(t, user, true, authorizationv1.ResourceAttributes{Group: group, Resource: "signers", Verb: "reference", Namespace: namespace, Name: resource})
}

func TestCSRWithAnEmptySubject(t *testing.T) {
	t.Parallel()
	key := newKey(t)
	secret := clusterKey(t, key)
	csr := newCSR(t, clusterSigner+newClusterIssuer(t), secret, key)
	csr.Spec.Request = csrPEM(t, key, "")
	env.Create(t, csr)
	approve(t, csr)
	awaitCSRIssued(t, csr, "cert-manager/"+secret)
	awaitEvent(t, csr, corev1.EventTypeWarning, "BadConfig", "subject")
	checkEvents(t, csr, "CertificateIssued", "BadConfig")
	certificate, err := certtext.Parse(csr.Status.Certificate)
	if err != nil || certificate.Issuer.String() != "" {
		t.Errorf("issuer %q, %v", certificate.Issuer, err)
	}
}
