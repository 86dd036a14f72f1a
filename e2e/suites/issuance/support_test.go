// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package issuance_test

import (
	"cmp"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
	"testing"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	selfsigned "github.com/cert-manager/selfsigned-issuer/api/v1alpha1"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/certtext"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/environment"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
)

func clientAs(t *testing.T, user string) client.Client {
	t.Helper()
	c, err := environment.ClientAs(env.ControlPlane.AdminConfig(), user)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// awaitPermission waits until a changed role or binding has taken effect in the API server, which
// watches them.
func awaitPermission(t *testing.T, user string, allowed bool, what authorizationv1.ResourceAttributes) {
	t.Helper()
	env.Eventually(t, fmt.Sprintf("%s: %s %s: %t", user, what.Verb, what.Resource, allowed), func(ctx context.Context) error {
		review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{User: user, ResourceAttributes: &what}}
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
	namespace := newEmptyNamespace(t, labels...)
	env.Create(t, newIssuer(namespace, "issuer"))
	return namespace
}

func newEmptyNamespace(t *testing.T, labels ...string) string {
	t.Helper()
	return expect.NewNamespace(t, env.Client, labels...)
}

func newIssuer(namespace, name string) *selfsigned.SelfSignedIssuer {
	return &selfsigned.SelfSignedIssuer{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
}

func newKey(t *testing.T) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func keyPEM(t *testing.T, key crypto.Signer) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func csrPEM(t *testing.T, key crypto.Signer, commonName string) []byte {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject:  pkix.Name{CommonName: commonName},
		DNSNames: []string{"example.com"},
	}, key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
}

// keySecret returns a Secret with cert-manager's label, which is watched.
func keySecret(namespace, name string, data map[string][]byte) *corev1.Secret {
	secret := &corev1.Secret{Data: data}
	secret.Namespace, secret.Name = namespace, name
	secret.Labels = map[string]string{cmapi.PartOfCertManagerControllerLabelKey: "true"}
	return secret
}

// newRequest returns a bare CertificateRequest of issuer "issuer" for Secret "key", which
// cert-manager's approver approves.
func newRequest(t *testing.T, namespace string, key crypto.Signer) *cmapi.CertificateRequest {
	t.Helper()
	return &cmapi.CertificateRequest{
		ObjectMeta: metav1.ObjectMeta{
			Namespace:    namespace,
			GenerateName: "request-",
			Annotations:  map[string]string{cmapi.CertificateRequestPrivateKeyAnnotationKey: "key"},
		},
		Spec: cmapi.CertificateRequestSpec{
			Request:   csrPEM(t, key, "example.com"),
			IssuerRef: cmmeta.IssuerReference{Group: selfsigned.GroupName, Kind: "SelfSignedIssuer", Name: "issuer"},
		},
	}
}

// ready returns the Ready condition of a CertificateRequest, or an empty one.
func ready(request *cmapi.CertificateRequest) cmapi.CertificateRequestCondition {
	for _, condition := range request.Status.Conditions {
		if condition.Type == cmapi.CertificateRequestConditionReady {
			return condition
		}
	}
	return cmapi.CertificateRequestCondition{}
}

// awaitReady waits until the Ready condition is as wanted, and its message contains the mentions.
// The complete messages are in controllers/testdata/messages.txt.
func awaitReady(t *testing.T, request *cmapi.CertificateRequest, status cmmeta.ConditionStatus, reason string, mentions ...string) {
	t.Helper()
	env.Eventually(t, "Ready condition of "+request.Name, func(context.Context) error {
		env.Get(t, request)
		got := ready(request)
		if got.Status == status && got.Reason == reason && mentionsAll(got.Message, mentions) {
			return nil
		}
		return fmt.Errorf("\n got %s %s: %s\nwant %s %s that mentions %q", got.Status, got.Reason, got.Message, status, reason, mentions)
	})
}

// awaitEvent waits for an event about an object whose note contains the mentions, and returns the note.
func awaitEvent(t *testing.T, about client.Object, eventType, reason string, mentions ...string) (note string) {
	t.Helper()
	env.Eventually(t, "event "+reason+" of "+about.GetName(), func(context.Context) error {
		seen := ""
		for _, event := range eventsOf(t, about) {
			if event.Type == eventType && event.Reason == reason && mentionsAll(event.Note, mentions) {
				note = event.Note
				return nil
			}
			seen += fmt.Sprintf("\n got %s %s: %s", event.Type, event.Reason, event.Note)
		}
		return fmt.Errorf("%s\nwant %s %s that mentions %q", seen, eventType, reason, mentions)
	})
	return note
}

// awaitOutcome waits for an event, and for a Ready condition with the same message.
func awaitOutcome(t *testing.T, request *cmapi.CertificateRequest, status cmmeta.ConditionStatus, reason, eventType, event string, mentions ...string) {
	t.Helper()
	note := awaitEvent(t, request, eventType, event, mentions...)
	awaitReady(t, request, status, reason, note)
	if message := ready(request).Message; message != note {
		t.Errorf("the condition is %q, but the event is %q", message, note)
	}
}

func mentionsAll(text string, mentions []string) bool {
	return !slices.ContainsFunc(mentions, func(mention string) bool { return !strings.Contains(text, mention) })
}

// eventsOf returns the events of selfsigned-issuer about an object.
func eventsOf(t *testing.T, about client.Object) []eventsv1.Event {
	t.Helper()
	var list eventsv1.EventList
	namespace := cmp.Or(about.GetNamespace(), metav1.NamespaceDefault)
	if err := env.Client.List(t.Context(), &list, client.InNamespace(namespace)); err != nil {
		t.Fatal(err)
	}
	var events []eventsv1.Event
	for _, event := range list.Items {
		if event.Regarding.UID == about.GetUID() && event.ReportingController == selfsigned.GroupName {
			events = append(events, event)
		}
	}
	return events
}

// mustParse parses a certificate and checks that it is self-signed.
func mustParse(t *testing.T, bundle []byte) *x509.Certificate {
	t.Helper()
	certificate, err := certtext.Parse(bundle)
	if err != nil {
		t.Fatalf("%v in:\n%s", err, bundle)
	}
	if err := certificate.CheckSignature(certificate.SignatureAlgorithm, certificate.RawTBSCertificate, certificate.Signature); err != nil {
		t.Fatalf("the certificate is not self-signed: %v", err)
	}
	return certificate
}

// inNamespace replaces {ns} in mentions.
func inNamespace(namespace string, mentions []string) []string {
	var result []string
	for _, mention := range mentions {
		result = append(result, strings.ReplaceAll(mention, "{ns}", namespace))
	}
	return result
}
