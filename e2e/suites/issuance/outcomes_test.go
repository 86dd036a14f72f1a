// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package issuance_test

import (
	"context"
	"crypto"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"net/http"
	"strings"
	"testing"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/certmanager"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/faultproxy"
)

// pendingOutcome is one row of the outcome table for both kinds of request: the problem, the message,
// and the fix.
type pendingOutcome struct {
	name             string
	arrange          func(t *testing.T, namespace string, key crypto.Signer)
	issuer           string // empty: the existing one
	eventType, event string
	mentions         []string // parts of the message; {ns}, {annotation} and {reference} are replaced
	fix              func(t *testing.T, namespace string, key crypto.Signer)
}

var pendingOutcomes = []pendingOutcome{
	{
		name:      "Secret absent",
		arrange:   func(*testing.T, string, crypto.Signer) {},
		eventType: "Normal", event: "MissingSecret",
		mentions: []string{"Secret {ns}/key", "annotation {annotation}"},
		fix:      createKeySecret,
	},
	{
		name:      "Secret without tls.key",
		arrange:   withSecret(map[string][]byte{"other": []byte("x")}),
		eventType: "Warning", event: "MissingPrivateKey",
		mentions: []string{"Secret {ns}/key", "tls.key"},
		fix:      replaceKeySecret,
	},
	{
		name:      "Secret with an empty tls.key",
		arrange:   withSecret(map[string][]byte{"tls.key": {}}),
		eventType: "Warning", event: "MissingPrivateKey",
		mentions: []string{"Secret {ns}/key", "tls.key"},
		fix:      replaceKeySecret,
	},
	{
		name:      "Secret with something else in tls.key",
		arrange:   withSecret(map[string][]byte{"tls.key": []byte("not a key")}),
		eventType: "Warning", event: "ErrorParsingKey",
		mentions: []string{"Secret {ns}/key", "tls.key", "PEM"},
		fix:      replaceKeySecret,
	},
	{
		name: "key of another request",
		arrange: func(t *testing.T, namespace string, _ crypto.Signer) {
			createKeySecret(t, namespace, newKey(t))
		},
		eventType: "Normal", event: "WaitingForMatchingKey",
		mentions: []string{"Secret {ns}/key", grace.String()},
		fix:      replaceKeySecret,
	},
	{
		name:      "issuer absent",
		arrange:   createKeySecret,
		issuer:    "later",
		eventType: "Warning", event: "IssuerNotFound",
		mentions: []string{"SelfSignedIssuer {ns}/later", "{reference}"},
		fix: func(t *testing.T, namespace string, _ crypto.Signer) {
			env.Create(t, newIssuer(namespace, "later"))
		},
	},
}

func withSecret(data map[string][]byte) func(*testing.T, string, crypto.Signer) {
	return func(t *testing.T, namespace string, _ crypto.Signer) {
		env.Create(t, keySecret(namespace, "key", data))
	}
}

func (o pendingOutcome) mentioned(namespace, annotation, reference string) []string {
	replacer := strings.NewReplacer("{ns}", namespace, "{annotation}", annotation, "{reference}", reference)
	var result []string
	for _, mention := range o.mentions {
		result = append(result, replacer.Replace(mention))
	}
	return result
}

func TestOutcomes(t *testing.T) {
	for _, test := range pendingOutcomes {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			namespace, key := newNamespace(t), newKey(t)
			test.arrange(t, namespace, key)
			request := createRequest(t, namespace, key, func(r *cmapi.CertificateRequest) {
				if test.issuer != "" {
					r.Spec.IssuerRef.Name = test.issuer
				}
			})
			mentions := test.mentioned(namespace, cmapi.CertificateRequestPrivateKeyAnnotationKey, "issuerRef")
			awaitPending(t, request, test.eventType, test.event, mentions...)
			test.fix(t, namespace, key)
			checkIssued(t, request)
			checkEvents(t, request, test.event, "CertificateIssued")
			checkLogsNoError(t, namespace)
		})
	}
}

// TestCSROutcomes has only events: the status of a pending Kubernetes CSR has no Ready condition.
func TestCSROutcomes(t *testing.T) {
	for _, test := range pendingOutcomes {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			namespace, key := newNamespace(t), newKey(t)
			test.arrange(t, namespace, key)
			csr := newCSR(t, namespacedSigner+namespace+".issuer", key)
			if test.issuer != "" {
				csr.Spec.SignerName = namespacedSigner + namespace + "." + test.issuer
			}
			createApproved(t, env.Client, csr)
			mentions := test.mentioned(namespace, keyAnnotation, "spec.signerName")
			awaitEvent(t, csr, test.eventType, test.event, mentions...)
			checkWrites(t, csr, writesNothing)
			checkEvents(t, csr, test.event)
			test.fix(t, namespace, key)
			awaitCSRIssued(t, csr, namespace)
			checkEvents(t, csr, test.event, "CertificateIssued")
			checkLogsNoError(t, namespace)
		})
	}
}

func TestMissingAnnotation(t *testing.T) {
	for name, edit := range map[string]requestEdit{
		"missing": withoutAnnotations, "empty": forSecret(""),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			request := createRequest(t, newNamespace(t), newKey(t), edit)
			awaitFailed(t, request, "MissingAnnotation", []string{"annotation cert-manager.io/private-key-secret-name"})
		})
	}
}

func TestCSRWithoutAnnotation(t *testing.T) {
	t.Parallel()
	csr := newCSR(t, clusterSigner+newClusterIssuer(t), newKey(t))
	csr.Annotations = nil
	createApproved(t, env.Client, csr)
	awaitCSRFailed(t, csr, "MissingAnnotation", []string{"annotation experimental.cert-manager.io/private-key-secret-name"})
}

func TestWrongKeyFailsAfterTheGrace(t *testing.T) {
	t.Parallel()
	namespace, _ := newNamespaceAndKey(t)
	mentions := []string{"Secret " + namespace + "/key", grace.String()}
	request := createRequest(t, namespace, newKey(t))
	csr := approvedCSR(t, namespace, newKey(t))
	awaitFailed(t, request, "ErrorKeyMatch", mentions, "WaitingForMatchingKey")
	waited := request.Status.FailureTime.Sub(request.CreationTimestamp.Time)
	expect.True(t, waited >= grace, "the request failed after %s, before the grace period of %s", waited, grace)
	awaitCSRFailed(t, csr, "ErrorKeyMatch", mentions, "WaitingForMatchingKey")
	checkLogsNoError(t, namespace)
}

// TestSecretReadFails injects faults into reads of the key: the request is Pending until the API
// server responds.
func TestSecretReadFails(t *testing.T) {
	for _, test := range []struct {
		name  string
		fault faultproxy.Fault
		says  string
	}{
		{
			"429", faultproxy.Status(http.StatusTooManyRequests, metav1.StatusReasonTooManyRequests, "please try again later"),
			"please try again later",
		},
		{
			"500", faultproxy.Status(http.StatusInternalServerError, metav1.StatusReasonInternalError, "an error on the server"),
			"an error on the server",
		},
		{
			"503", faultproxy.Status(http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable, "100%d of etcd is down."),
			"100%d of etcd is down",
		},
		{
			"504", faultproxy.Status(http.StatusGatewayTimeout, metav1.StatusReasonTimeout, "etcdserver: request timed out"),
			"etcdserver: request timed out",
		},
		{"connection cut", faultproxy.Reset(), "the connection was closed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			namespace, key := newNamespaceAndKey(t)
			rule := inject(t, "GET", "/api/v1/namespaces/"+namespace+"/secrets/key", test.fault)
			request := createRequest(t, namespace, key)
			awaitPending(t, request, "Warning", "ErrorGettingSecret", "Secret "+namespace+"/key", test.says)
			const attempts = 8 // two reads per reconcile
			env.Eventually(t, "more attempts", func(context.Context) error {
				if hits := rule.Hits(); hits < attempts {
					return fmt.Errorf("%d reads", hits)
				}
				return nil
			})
			checkNotWritten(t, request)
			rule.Remove()
			checkIssued(t, request)
			checkEvents(t, request, "ErrorGettingSecret", "CertificateIssued")
			expect.True(t, len(loggedErrors(t, namespace)) > 0,
				"a failure of the API server is not logged as an error")
		})
	}
}

func inject(t *testing.T, method, path string, fault faultproxy.Fault) *faultproxy.Rule {
	t.Helper()
	rule := env.Proxy.Inject(faultproxy.On(method, path), fault)
	t.Cleanup(rule.Remove)
	return rule
}

func TestCSRSecretReadFails(t *testing.T) {
	t.Parallel()
	namespace, key := newNamespaceAndKey(t)
	rule := inject(t, "GET", "/api/v1/namespaces/"+namespace+"/secrets/key",
		faultproxy.Status(http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable, "etcd is down"))
	checkCSROutlives(t, namespace, key, rule, "ErrorGettingSecret", "Secret "+namespace+"/key", "etcd is down")
}

// TestCSRReviewFails injects a fault into the SubjectAccessReview for a namespaced issuer. It must
// not run in parallel, because reviews of other tests would fail too.
func TestCSRReviewFails(t *testing.T) {
	namespace, key := newNamespaceAndKey(t)
	rule := inject(t, "POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews",
		faultproxy.Status(http.StatusInternalServerError, metav1.StatusReasonInternalError, "the authorizer is down"))
	checkCSROutlives(t, namespace, key, rule, "ErrorReviewingReference",
		"user admin", "SelfSignedIssuer "+namespace+"/issuer", "the authorizer is down", "subjectaccessreviews")
}

// checkCSROutlives removes a fault when a CSR reports it. Then the CSR must be signed.
func checkCSROutlives(
	t *testing.T, namespace string, key crypto.Signer, rule *faultproxy.Rule, reason string, mentions ...string,
) {
	t.Helper()
	csr := approvedCSR(t, namespace, key)
	awaitEvent(t, csr, "Warning", reason, mentions...)
	checkWrites(t, csr, writesNothing)
	rule.Remove()
	awaitCSRIssued(t, csr, namespace)
	checkEvents(t, csr, reason, "CertificateIssued")
}

// smartcardLogon is a usage that cert-manager has no name for.
const smartcardLogon = "1.3.6.1.4.1.311.20.2.2"

// Extensions of a PKCS #10 request.
var (
	digitalSignature = pkix.Extension{Id: []int{2, 5, 29, 15}, Critical: true, Value: []byte{0x03, 0x02, 0x07, 0x80}}
	isCA             = pkix.Extension{Id: []int{2, 5, 29, 19}, Critical: true, Value: []byte{0x30, 0x03, 0x01, 0x01, 0xff}}
)

// smartcardRequest asks for "digital signature", "server auth" and smart card logon.
func smartcardRequest(t *testing.T) []byte {
	t.Helper()
	usages, err := asn1.Marshal([]asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 1}, {1, 3, 6, 1, 4, 1, 311, 20, 2, 2}})
	expect.NoError(t, err)
	return csrWith(t, digitalSignature, pkix.Extension{Id: []int{2, 5, 29, 37}, Value: usages})
}

const contradiction = "encoded CSR error: " +
	"the KeyUsages [ 'digital signature' ] do not match the expected KeyUsages [ 'cert sign' ]"

// TestMalformedRequests needs a namespace without cert-manager's webhook, which rejects most of
// them. There is no Secret: an invalid request fails without it.
func TestMalformedRequests(t *testing.T) {
	signedByAnother, _ := pem.Decode(csrPEM(t, newKey(t), "example.com"))
	signedByAnother.Bytes[len(signedByAnother.Bytes)-1] ^= 1
	for _, test := range []struct {
		name    string
		request []byte
		usages  []cmapi.KeyUsage
		mention string
	}{
		{"not PEM", []byte("no PEM at all"), nil, "PEM"},
		{
			"PEM of something else",
			pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: []byte("100 %d %s")}),
			nil, "asn1: structure error: tags don't match",
		},
		{"signature of another key", pem.EncodeToMemory(signedByAnother), nil, "x509: ECDSA verification failure"},
		{
			"usages that differ from the CSR's", csrWith(t, digitalSignature), []cmapi.KeyUsage{cmapi.UsageCertSign},
			contradiction,
		},
		{
			"extended key usage that the usages do not name", smartcardRequest(t),
			[]cmapi.KeyUsage{cmapi.UsageDigitalSignature, cmapi.UsageServerAuth}, smartcardLogon,
		},
		{"CA in the CSR only", csrWith(t, isCA), nil, "encoded CSR error: IsCA true does not match expected value false"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			namespace := newNamespace(t, certmanager.DisableValidationLabel)
			request := createRequest(t, namespace, newKey(t), func(r *cmapi.CertificateRequest) {
				r.Spec.Request, r.Spec.Usages = test.request, test.usages
			})
			awaitFailed(t, request, "ErrorGenerating", []string{test.mention, "spec.request"})
		})
	}
}

// TestMalformedCSR has PKCS #10 requests with usages that differ from the spec, and with too many
// names. The API server does not check this.
func TestMalformedCSR(t *testing.T) {
	serverAuth := []certificatesv1.KeyUsage{certificatesv1.UsageDigitalSignature, certificatesv1.UsageServerAuth}
	for _, test := range []struct {
		name    string
		request []byte
		usages  []certificatesv1.KeyUsage
		mention string
	}{
		{"contradiction", csrWith(t, digitalSignature), []certificatesv1.KeyUsage{certificatesv1.UsageCertSign}, contradiction},
		{"unnamed usage", smartcardRequest(t), serverAuth, smartcardLogon},
		{"too large", csrWithNames(t, newKey(t), 1700), serverAuth, fmt.Sprint(maxCertificateSize)},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			csr := newCSR(t, namespacedSigner+newNamespace(t)+".issuer", newKey(t))
			csr.Spec.Request, csr.Spec.Usages = test.request, test.usages
			createApproved(t, env.Client, csr)
			awaitCSRFailed(t, csr, "ErrorGenerating", []string{test.mention, "spec.request"})
		})
	}
}
