// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package issuance_test

import (
	"crypto"
	"slices"
	"testing"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// requestOutcome is one row of the outcome table for CertificateRequests: the problem, the message,
// and the fix.
type requestOutcome struct {
	name      string
	arrange   func(t *testing.T, namespace string, key crypto.Signer, request *cmapi.CertificateRequest)
	reason    string   // of the Ready condition
	mentions  []string // parts of the message; {ns} is the namespace
	eventType string
	event     string
	fix       func(t *testing.T, namespace string, key crypto.Signer) // nil: final outcome
}

var requestOutcomes = []requestOutcome{
	{
		name: "annotation missing",
		arrange: func(_ *testing.T, _ string, _ crypto.Signer, request *cmapi.CertificateRequest) {
			request.Annotations = nil
		},
		reason:    "Failed",
		mentions:  []string{"annotation cert-manager.io/private-key-secret-name"},
		eventType: "Warning", event: "MissingAnnotation",
	},
	{
		name: "annotation empty",
		arrange: func(_ *testing.T, _ string, _ crypto.Signer, request *cmapi.CertificateRequest) {
			request.Annotations[cmapi.CertificateRequestPrivateKeyAnnotationKey] = ""
		},
		reason:    "Failed",
		mentions:  []string{"annotation cert-manager.io/private-key-secret-name"},
		eventType: "Warning", event: "MissingAnnotation",
	},
	{
		name:      "Secret absent",
		reason:    "Pending",
		mentions:  []string{"Secret {ns}/key", "annotation cert-manager.io/private-key-secret-name"},
		eventType: "Normal", event: "MissingSecret",
		fix: createKeySecret,
	},
	{
		name:      "Secret without tls.key",
		arrange:   withSecret(map[string][]byte{"other": []byte("x")}),
		reason:    "Pending",
		mentions:  []string{"Secret {ns}/key", "tls.key"},
		eventType: "Warning", event: "MissingPrivateKey",
		fix: replaceKeySecret,
	},
	{
		name:      "Secret with an empty tls.key",
		arrange:   withSecret(map[string][]byte{"tls.key": {}}),
		reason:    "Pending",
		mentions:  []string{"Secret {ns}/key", "tls.key"},
		eventType: "Warning", event: "MissingPrivateKey",
		fix: replaceKeySecret,
	},
	{
		name:      "Secret with something else in tls.key",
		arrange:   withSecret(map[string][]byte{"tls.key": []byte("not a key")}),
		reason:    "Pending",
		mentions:  []string{"Secret {ns}/key", "tls.key", "PEM"},
		eventType: "Warning", event: "ErrorParsingKey",
		fix: replaceKeySecret,
	},
	{
		name: "issuer absent",
		arrange: func(t *testing.T, namespace string, key crypto.Signer, request *cmapi.CertificateRequest) {
			createKeySecret(t, namespace, key)
			request.Spec.IssuerRef.Name = "later"
		},
		reason:    "Pending",
		mentions:  []string{"SelfSignedIssuer {ns}/later", "issuerRef"},
		eventType: "Warning", event: "IssuerNotFound",
		fix: func(t *testing.T, namespace string, _ crypto.Signer) {
			env.Create(t, newIssuer(namespace, "later"))
		},
	},
	{
		name: "key of another request",
		arrange: func(t *testing.T, namespace string, _ crypto.Signer, _ *cmapi.CertificateRequest) {
			createKeySecret(t, namespace, newKey(t))
		},
		reason:    "Pending",
		mentions:  []string{"Secret {ns}/key", grace.String()},
		eventType: "Normal", event: "WaitingForMatchingKey",
		fix: replaceKeySecret,
	},
}

func withSecret(data map[string][]byte) func(*testing.T, string, crypto.Signer, *cmapi.CertificateRequest) {
	return func(t *testing.T, namespace string, _ crypto.Signer, _ *cmapi.CertificateRequest) {
		env.Create(t, keySecret(namespace, "key", data))
	}
}

func createKeySecret(t *testing.T, namespace string, key crypto.Signer) {
	t.Helper()
	env.Create(t, keySecret(namespace, "key", map[string][]byte{"tls.key": keyPEM(t, key)}))
}

func replaceKeySecret(t *testing.T, namespace string, key crypto.Signer) {
	t.Helper()
	updateKeySecret(t, namespace, keyPEM(t, key))
}

func updateKeySecret(t *testing.T, namespace string, tlsKey []byte) {
	t.Helper()
	secret := keySecret(namespace, "key", map[string][]byte{"tls.key": tlsKey})
	if err := env.Client.Update(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
}

func TestOutcomes(t *testing.T) {
	for _, s := range requestOutcomes {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			namespace, key := newNamespace(t), newKey(t)
			request := newRequest(t, namespace, key)
			if s.arrange != nil {
				s.arrange(t, namespace, key, request)
			}
			env.Create(t, request)

			mentions := inNamespace(namespace, s.mentions)
			if s.fix == nil {
				awaitOutcome(t, request, cmmeta.ConditionFalse, s.reason, s.eventType, s.event, mentions...)
				checkFailed(t, request)
				checkEvents(t, request, s.event)
				return
			}
			awaitPending(t, request, s.eventType, s.event, mentions...)
			s.fix(t, namespace, key)
			checkIssued(t, request)
			checkEvents(t, request, s.event, "CertificateIssued")
			checkLogsNoError(t, namespace)
		})
	}
}

// checkFailed checks the status, events and written fields of a failed request.
func checkFailed(t *testing.T, request *cmapi.CertificateRequest) {
	t.Helper()
	if request.Status.FailureTime == nil {
		t.Error("a failed request has no failure time")
	}
	if len(request.Status.Certificate) > 0 {
		t.Error("a failed request has a certificate")
	}
	if got := writtenFields(t, request); !slices.Equal(got, writesFailed) {
		t.Errorf("selfsigned-issuer has written %q, want %q", got, writesFailed)
	}
}

// checkIssued waits for the certificate and checks its fields, events and written fields.
func checkIssued(t *testing.T, request *cmapi.CertificateRequest) {
	t.Helper()
	awaitOutcome(t, request, cmmeta.ConditionTrue, "Issued", corev1.EventTypeNormal, "CertificateIssued", "Secret "+request.Namespace+"/key")
	certificate := mustParse(t, request.Status.Certificate)
	if certificate.Subject.String() != "CN=example.com" || certificate.DNSNames[0] != "example.com" {
		t.Errorf("the certificate is for %s, %s", certificate.Subject, certificate.DNSNames)
	}
	if string(request.Status.CA) != string(request.Status.Certificate) {
		t.Error("status.ca is not the certificate itself")
	}
	checkWrites(t, request, writesIssued)
}

// checkEvents expects exactly these events, once each. They can be later than the status.
func checkEvents(t *testing.T, request client.Object, reasons ...string) {
	t.Helper()
	for _, reason := range reasons {
		awaitEventReason(t, request, reason)
	}
	count := map[string]int{}
	for _, event := range eventsOf(t, request) {
		count[event.Reason]++
		if event.Series != nil {
			t.Errorf("event %s was sent %d times", event.Reason, event.Series.Count)
		}
	}
	for _, reason := range reasons {
		if count[reason] != 1 {
			t.Errorf("event %s was sent %d times, want once", reason, count[reason])
		}
		delete(count, reason)
	}
	for reason := range count {
		// Approval can take long on a slow machine.
		if reason != "IssuerNotChecked" && reason != "WaitingForApproval" {
			t.Errorf("unexpected event %s", reason)
		}
	}
}

func TestWrongKeyFailsAfterTheGrace(t *testing.T) {
	t.Parallel()
	namespace, key := newNamespace(t), newKey(t)
	createKeySecret(t, namespace, newKey(t))
	request := newRequest(t, namespace, key)
	env.Create(t, request)
	awaitOutcome(t, request, cmmeta.ConditionFalse, "Failed", "Warning", "ErrorKeyMatch", "Secret "+namespace+"/key", grace.String())
	if waited := request.Status.FailureTime.Sub(request.CreationTimestamp.Time); waited < grace {
		t.Errorf("the request failed %s after its creation, before the grace period of %s", waited, grace)
	}
	checkFailed(t, request)
	checkEvents(t, request, "WaitingForMatchingKey", "ErrorKeyMatch")
	checkLogsNoError(t, namespace)
}
