// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package issuance_test

import (
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"maps"
	"slices"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	selfsigned "github.com/cert-manager/selfsigned-issuer/api/v1alpha1"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/environment"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
)

// clusterNamespace is the cluster resource namespace, which has the keys of CSRs for cluster issuers.
const clusterNamespace = "cert-manager"

// newClusterCSR returns a CSR of a new ClusterSelfSignedIssuer. Its key is in a new Secret.
func newClusterCSR(t *testing.T, key crypto.Signer) *CSR {
	t.Helper()
	secret := keySecret(clusterNamespace, "", map[string][]byte{"tls.key": keyPEM(t, key)})
	secret.GenerateName = "e2e-"
	env.Create(t, secret)
	csr := newCSR(t, clusterSigner+newClusterIssuer(t), key)
	csr.Annotations[keyAnnotation] = secret.Name
	return csr
}

// awaitCSRIssued waits for the certificate, which is self-signed with the key in the namespace, and
// its event.
func awaitCSRIssued(t *testing.T, csr *CSR, keyNamespace string) *x509.Certificate {
	t.Helper()
	env.Await(t, "a certificate", csr, func() bool { return len(csr.Status.Certificate) > 0 })
	awaitEvent(t, csr, corev1.EventTypeNormal, "CertificateIssued", "Secret "+keyNamespace+"/"+csr.Annotations[keyAnnotation])
	checkWrites(t, csr, writesCSR)
	return mustParse(t, csr.Status.Certificate)
}

// awaitCSRFailed waits for a failure with these parts in its message, and checks that there are no
// other events than its own and the earlier ones.
func awaitCSRFailed(t *testing.T, csr *CSR, reason string, mentions []string, earlier ...string) {
	t.Helper()
	message := awaitEvent(t, csr, corev1.EventTypeWarning, reason, mentions...)
	env.Await(t, "a failure: "+message, csr, func() bool {
		return slices.ContainsFunc(csr.Status.Conditions, func(c certificatesv1.CertificateSigningRequestCondition) bool {
			return c.Type == certificatesv1.CertificateFailed && c.Reason == reason && c.Message == message
		})
	})
	expect.True(t, len(csr.Status.Certificate) == 0, "a failed CSR has a certificate")
	expect.Equal(t, "conditions", []string{"Approved", "Failed"}, conditionTypes(csr))
	checkEvents(t, csr, append(earlier, reason)...)
}

func TestCSROfAClusterIssuer(t *testing.T) {
	validity := func(c *x509.Certificate) string { return c.NotAfter.Sub(c.NotBefore).String() }
	for _, test := range []struct {
		name        string
		annotations map[string]string
		seconds     int32
		usages      []certificatesv1.KeyUsage
		show        func(*x509.Certificate) string
		want        string
		problem     string // instead of a certificate
	}{
		{
			name:        "CA",
			annotations: map[string]string{isCAAnnotation: "true", durationAnnotation: "1h"},
			usages:      []certificatesv1.KeyUsage{certificatesv1.UsageCertSign, certificatesv1.UsageCRLSign},
			show:        func(c *x509.Certificate) string { return fmt.Sprintf("%t %s", c.IsCA, validity(c)) }, want: "true 1h0m0s",
		},
		{name: "default duration", show: validity, want: "2160h0m0s"},
		{name: "duration from spec.expirationSeconds", seconds: 1200, show: validity, want: "20m0s"},
		{
			name:        "the annotation has priority",
			annotations: map[string]string{durationAnnotation: "2h"}, seconds: 1200, show: validity, want: "2h0m0s",
		},
		{
			name:        "the minimum duration",
			annotations: map[string]string{durationAnnotation: "600s"}, show: validity, want: "10m0s",
		},
		{
			name:        "below the minimum duration",
			annotations: map[string]string{durationAnnotation: "599s"}, problem: "9m59s",
		},
		{
			name:        "not a duration",
			annotations: map[string]string{durationAnnotation: "a day"},
			problem: `failed to parse requested duration on annotation "experimental.cert-manager.io/request-duration": ` +
				`time: invalid duration "a day"`,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			csr := newClusterCSR(t, newKey(t))
			maps.Copy(csr.Annotations, test.annotations)
			if test.seconds > 0 {
				csr.Spec.ExpirationSeconds = &test.seconds
			}
			if test.usages != nil {
				csr.Spec.Usages = test.usages
			}
			createApproved(t, env.Client, csr)
			if test.problem != "" {
				awaitCSRFailed(t, csr, "InvalidDuration", []string{test.problem, "10m0s"})
				return
			}
			expect.Equal(t, test.name, test.want, test.show(awaitCSRIssued(t, csr, clusterNamespace)))
		})
	}
}

// TestLargeCSR has more names than the default limit, and fewer than the limit of this suite.
func TestLargeCSR(t *testing.T) {
	t.Parallel()
	key := newKey(t)
	csr := newClusterCSR(t, key)
	csr.Spec.Request = csrWithNames(t, key, 1100)
	if size := len(csr.Spec.Request); size <= 36500 {
		t.Fatalf("the request has %d bytes, want more than cert-manager's limit", size)
	}
	createApproved(t, env.Client, csr)
	expect.Equal(t, "number of DNS names", 1100, len(awaitCSRIssued(t, csr, clusterNamespace).DNSNames))
}

func csrWithNames(t *testing.T, key crypto.Signer, count int) []byte {
	t.Helper()
	request := x509.CertificateRequest{Subject: pkix.Name{CommonName: "many.example.com"}}
	for i := range count {
		request.DNSNames = append(request.DNSNames, fmt.Sprintf("host-%04d.shard.example.com", i))
	}
	return encodeCSR(t, key, request)
}

func TestCSRWithAnEmptySubject(t *testing.T) {
	t.Parallel()
	key := newKey(t)
	csr := newClusterCSR(t, key)
	csr.Spec.Request = csrPEM(t, key, "")
	createApproved(t, env.Client, csr)
	expect.Equal(t, "issuer", "", awaitCSRIssued(t, csr, clusterNamespace).Issuer.String())
	awaitEvent(t, csr, corev1.EventTypeWarning, "BadConfig", "subject")
	checkEvents(t, csr, "CertificateIssued", "BadConfig")
}

func TestCSRNotApprovedIsNotSigned(t *testing.T) {
	t.Parallel()
	namespace, key := newNamespaceAndKey(t)
	csr := newCSR(t, namespacedSigner+namespace+".issuer", key)
	env.Create(t, csr)
	awaitCSRIssued(t, approvedCSR(t, namespace, key), namespace)
	checkNotWritten(t, csr)
}

// TestCSRUntouched has CSRs that must not be changed, even when the key is created.
func TestCSRUntouched(t *testing.T) {
	for name, finish := range map[string]func(*testing.T, *CSR){
		"denied": func(t *testing.T, csr *CSR) {
			decide(t, csr, certificatesv1.CertificateDenied)
		},
		"failed": func(t *testing.T, csr *CSR) {
			decide(t, csr, certificatesv1.CertificateApproved)
			awaitEventReason(t, csr, "MissingSecret")
			env.ChangeStatus(t, csr, func() {
				csr.Status.Conditions = append(csr.Status.Conditions, certificatesv1.CertificateSigningRequestCondition{
					Type: certificatesv1.CertificateFailed, Status: corev1.ConditionTrue, Reason: "Test", Message: "by a test",
				})
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			namespace, key := newNamespace(t), newKey(t)
			csr := newCSR(t, namespacedSigner+namespace+".issuer", key)
			env.Create(t, csr)
			finish(t, csr)
			env.Get(t, csr)
			createKeySecret(t, namespace, key)
			awaitCSRIssued(t, approvedCSR(t, namespace, key), namespace)
			checkNotWritten(t, csr)
			if name == "denied" {
				checkEvents(t, csr)
			}
		})
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
			namespace, key := newNamespaceAndKey(t)
			user := "alice-" + namespace
			grant(t, namespace, user, test.group, test.resource)
			author, err := environment.ClientAs(env.ControlPlane.AdminConfig(), user)
			expect.NoError(t, err)
			csr := newCSR(t, namespacedSigner+namespace+".issuer", key)
			createApproved(t, author, csr)
			if test.allowed {
				awaitCSRIssued(t, csr, namespace)
				return
			}
			awaitCSRFailed(t, csr, "DeniedReference",
				[]string{"ser " + user, "SelfSignedIssuer " + namespace + "/issuer", `"reference"`, `"signers"`})
		})
	}
}

// grant lets a user create CSRs, and reference signers of a group in a namespace.
func grant(t *testing.T, namespace, user, group, resource string) {
	t.Helper()
	bind(t, user, "", rbacv1.PolicyRule{
		APIGroups: []string{"certificates.k8s.io"}, Resources: []string{"certificatesigningrequests"}, Verbs: []string{"create"},
	})
	awaitPermission(t, user, true, authorizationv1.ResourceAttributes{
		Group: "certificates.k8s.io", Resource: "certificatesigningrequests", Verb: "create",
	})
	if group == "" {
		return
	}
	bind(t, user, namespace, rbacv1.PolicyRule{
		APIGroups: []string{group}, Resources: []string{"signers"}, ResourceNames: []string{resource}, Verbs: []string{"reference"},
	})
	awaitPermission(t, user, true, authorizationv1.ResourceAttributes{
		Group: group, Resource: "signers", Verb: "reference", Namespace: namespace, Name: resource,
	})
}

// bind gives a user permissions in a namespace, or in all if it is empty.
func bind(t *testing.T, user, namespace string, rule rbacv1.PolicyRule) {
	t.Helper()
	env.Create(t, &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: user + namespace}, Rules: []rbacv1.PolicyRule{rule},
	})
	meta := metav1.ObjectMeta{Namespace: namespace, Name: user + namespace}
	role := rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: user + namespace}
	subjects := []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: user}}
	if namespace != "" {
		env.Create(t, &rbacv1.RoleBinding{ObjectMeta: meta, Subjects: subjects, RoleRef: role})
	} else {
		env.Create(t, &rbacv1.ClusterRoleBinding{ObjectMeta: meta, Subjects: subjects, RoleRef: role})
	}
}
