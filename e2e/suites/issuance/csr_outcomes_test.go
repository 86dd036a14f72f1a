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
	"fmt"
	"net/http"
	"testing"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/faultproxy"
)

// csrOutcome is one row of the outcome table for pending Kubernetes CSRs. Their status has no Ready
// condition, so there is only an event.
type csrOutcome struct {
	name      string
	arrange   func(t *testing.T, namespace string)
	issuer    string // empty: the existing one
	eventType string
	event     string
	mentions  []string // parts of the message; {ns} is the namespace
	fix       func(t *testing.T, namespace string, key crypto.Signer)
}

var csrOutcomes = []csrOutcome{
	{
		name:      "Secret absent",
		eventType: "Normal", event: "MissingSecret",
		mentions: []string{"Secret {ns}/key", "annotation experimental.cert-manager.io/private-key-secret-name"},
		fix:      createKeySecret,
	},
	{
		name:      "Secret without tls.key",
		arrange:   withKeyData(map[string][]byte{"other": []byte("x")}),
		eventType: "Warning", event: "MissingPrivateKey",
		mentions: []string{"Secret {ns}/key", "tls.key"},
		fix:      replaceKeySecret,
	},
	{
		name:      "Secret with something else in tls.key",
		arrange:   withKeyData(map[string][]byte{"tls.key": []byte("not a key")}),
		eventType: "Warning", event: "ErrorParsingKey",
		mentions: []string{"Secret {ns}/key", "tls.key", "PEM"},
		fix:      replaceKeySecret,
	},
	{
		name:      "key of another request",
		arrange:   func(t *testing.T, namespace string) { createKeySecret(t, namespace, newKey(t)) },
		eventType: "Normal", event: "WaitingForMatchingKey",
		mentions: []string{"Secret {ns}/key", grace.String()},
		fix:      replaceKeySecret,
	},
	{
		name:      "issuer absent",
		issuer:    "later",
		eventType: "Warning", event: "IssuerNotFound",
		mentions: []string{"SelfSignedIssuer {ns}/later", "spec.signerName"},
		fix: func(t *testing.T, namespace string, key crypto.Signer) {
			createKeySecret(t, namespace, key)
			env.Create(t, newIssuer(namespace, "later"))
		},
	},
}

func withKeyData(data map[string][]byte) func(*testing.T, string) {
	return func(t *testing.T, namespace string) { env.Create(t, keySecret(namespace, "key", data)) }
}

func TestCSROutcomes(t *testing.T) {
	for _, s := range csrOutcomes {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			namespace, key := newNamespace(t), newKey(t)
			if s.arrange != nil {
				s.arrange(t, namespace)
			}
			issuer := "issuer"
			if s.issuer != "" {
				issuer = s.issuer
			}
			csr := newCSR(t, namespacedSigner+namespace+"."+issuer, "key", key)
			env.Create(t, csr)
			approve(t, csr)
			awaitEvent(t, csr, s.eventType, s.event, inNamespace(namespace, s.mentions)...)
			checkWrites(t, csr, writesNothing)
			checkEvents(t, csr, s.event)
			s.fix(t, namespace, key)
			awaitCSRIssued(t, csr, namespace+"/key")
			mustParse(t, csr.Status.Certificate)
			checkEvents(t, csr, s.event, "CertificateIssued")
			checkLogsNoError(t, namespace)
		})
	}
}

func TestCSRSecretReadFails(t *testing.T) {
	t.Parallel()
	namespace := newNamespace(t)
	checkCSROutlives(t, namespace, faultproxy.On("GET", "/api/v1/namespaces/"+namespace+"/secrets/key"),
		faultproxy.Status(http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable, "etcd is down"),
		"ErrorGettingSecret", "Secret "+namespace+"/key", "etcd is down")
}

// TestCSRReviewFails injects a fault into the SubjectAccessReview for a namespaced issuer. It must
// not run in parallel, because reviews of other tests would fail too.
func TestCSRReviewFails(t *testing.T) {
	namespace := newNamespace(t)
	checkCSROutlives(t, namespace, faultproxy.On("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews"),
		faultproxy.Status(http.StatusInternalServerError, metav1.StatusReasonInternalError, "the authorizer is down"),
		"ErrorReviewingReference", "user admin", "SelfSignedIssuer "+namespace+"/issuer", "the authorizer is down", "subjectaccessreviews")
}

// checkCSROutlives injects a fault until a CSR of the namespace reports it. Then the CSR must be signed.
func checkCSROutlives(t *testing.T, namespace string, match faultproxy.Match, fault faultproxy.Fault, reason string, mentions ...string) {
	t.Helper()
	key := newKey(t)
	createKeySecret(t, namespace, key)
	rule := env.Proxy.Inject(match, fault)
	t.Cleanup(rule.Remove)
	csr := newCSR(t, namespacedSigner+namespace+".issuer", "key", key)
	env.Create(t, csr)
	approve(t, csr)
	awaitEvent(t, csr, "Warning", reason, mentions...)
	checkWrites(t, csr, writesNothing)
	rule.Remove()
	awaitCSRIssued(t, csr, namespace+"/key")
	checkEvents(t, csr, reason, "CertificateIssued")
}

func TestCSRWithAWrongKeyFailsAfterTheGrace(t *testing.T) {
	t.Parallel()
	namespace, key := newNamespace(t), newKey(t)
	createKeySecret(t, namespace, newKey(t))
	csr := newCSR(t, namespacedSigner+namespace+".issuer", "key", key)
	env.Create(t, csr)
	approve(t, csr)
	awaitCSRFailed(t, csr, "ErrorKeyMatch", []string{"Secret " + namespace + "/key", grace.String()}, "WaitingForMatchingKey")
}

// TestMalformedCSR has PKCS #10 requests with usages that differ from the spec, and with too many
// names. The API server does not check this.
func TestMalformedCSR(t *testing.T) {
	large := csrWithNames(t, newKey(t), 1700)
	for _, test := range []struct {
		name    string
		request []byte
		usages  []certificatesv1.KeyUsage
		mention string
	}{
		{
			"contradiction", csrWithKeyUsage(t), []certificatesv1.KeyUsage{certificatesv1.UsageCertSign},
			"encoded CSR error: the KeyUsages [ 'digital signature' ] do not match the expected KeyUsages [ 'cert sign' ]",
		},
		{
			"unnamed usage", smartcardRequest(t), []certificatesv1.KeyUsage{certificatesv1.UsageDigitalSignature, certificatesv1.UsageServerAuth},
			smartcardLogon,
		},
		{
			"too large", large, []certificatesv1.KeyUsage{certificatesv1.UsageDigitalSignature, certificatesv1.UsageServerAuth},
			fmt.Sprint(maxCertificateSize),
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			csr := newCSR(t, namespacedSigner+newNamespace(t)+".issuer", "key", newKey(t))
			csr.Spec.Request, csr.Spec.Usages = test.request, test.usages
			env.Create(t, csr)
			approve(t, csr)
			awaitCSRFailed(t, csr, "ErrorGenerating", []string{test.mention, "spec.request"})
		})
	}
}

// TestLargeCSR has more names than the default limit, and fewer than the limit of this suite.
func TestLargeCSR(t *testing.T) {
	t.Parallel()
	key := newKey(t)
	secret := clusterKey(t, key)
	csr := newCSR(t, clusterSigner+newClusterIssuer(t), secret, key)
	csr.Spec.Request = csrWithNames(t, key, 1100)
	if size := len(csr.Spec.Request); size <= 36500 {
		t.Fatalf("the request has %d bytes, want more than cert-manager's limit", size)
	}
	env.Create(t, csr)
	approve(t, csr)
	awaitCSRIssued(t, csr, "cert-manager/"+secret)
	if got := len(mustParse(t, csr.Status.Certificate).DNSNames); got != 1100 {
		t.Errorf("the certificate has %d DNS names, want 1100", got)
	}
}

func csrWithNames(t *testing.T, key crypto.Signer, count int) []byte {
	t.Helper()
	template := &x509.CertificateRequest{Subject: pkix.Name{CommonName: "many.example.com"}}
	for i := range count {
		template.DNSNames = append(template.DNSNames, fmt.Sprintf("host-%04d.shard.example.com", i))
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
}

// TestCSRUntouched has CSRs that must not be changed, even when the key is created.
func TestCSRUntouched(t *testing.T) {
	for name, finish := range map[string]func(*testing.T, *certificatesv1.CertificateSigningRequest){
		"denied": func(t *testing.T, csr *certificatesv1.CertificateSigningRequest) {
			decide(t, csr, certificatesv1.CertificateDenied)
		},
		"failed": func(t *testing.T, csr *certificatesv1.CertificateSigningRequest) {
			approve(t, csr)
			awaitEventReason(t, csr, "MissingSecret")
			env.Eventually(t, "writing the status", func(ctx context.Context) error {
				env.Get(t, csr)
				csr.Status.Conditions = append(csr.Status.Conditions, certificatesv1.CertificateSigningRequestCondition{
					Type: certificatesv1.CertificateFailed, Status: corev1.ConditionTrue, Reason: "Test", Message: "by a test",
				})
				if err := env.Client.Status().Update(ctx, csr); err != nil {
					return err
				}
				return nil
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			namespace, key := newNamespace(t), newKey(t)
			csr := newCSR(t, namespacedSigner+namespace+".issuer", "key", key)
			env.Create(t, csr)
			finish(t, csr)
			env.Get(t, csr)
			before := csr.ResourceVersion
			createKeySecret(t, namespace, key)
			later := newCSR(t, namespacedSigner+namespace+".issuer", "key", key)
			env.Create(t, later)
			approve(t, later)
			awaitCSRIssued(t, later, namespace+"/key")
			env.Get(t, csr)
			if csr.ResourceVersion != before {
				t.Errorf("the CSR was written: %+v", csr.Status)
			}
			if name == "denied" {
				checkEvents(t, csr)
			}
		})
	}
}
