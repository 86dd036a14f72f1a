// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"strings"
	"testing"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	selfsigned "github.com/cert-manager/selfsigned-issuer/api/v1alpha1"
	"github.com/cert-manager/selfsigned-issuer/controllers/internal/outcome"
	"github.com/cert-manager/selfsigned-issuer/signer"
)

// TestOverriddenAlgorithmIsReported signs a CSR for a P-256 key that is signed with SHA-384, as
// cert-manager does if the Certificate sets this, and as other tools do.
func TestOverriddenAlgorithmIsReported(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		certificate string
		reported    bool
	}{
		"Certificate":       {"example", true},
		"request by itself": {"", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, interceptor.Funcs{})
			f.changeRequest(t, func(request *cmapi.CertificateRequest) {
				request.Spec.Request = signedWith(t, f.key(t), x509.ECDSAWithSHA384)
				if test.certificate != "" {
					request.Annotations[cmapi.CertificateNameKey] = test.certificate
				}
			})
			if _, err := f.reconcile(); err != nil {
				t.Fatal(err)
			}
			if got := f.ready(t); got.Reason != cmapi.CertificateRequestReasonIssued {
				t.Fatalf("the request is %q: %s", got.Reason, got.Message)
			}
			// TestGeneratedMessages has the text.
			if got := f.adjusted(); strings.Contains(got, "ECDSAWithSHA384") != test.reported {
				t.Errorf("got event %q, want one: %t", got, test.reported)
			}
		})
	}
}

// TestInvalidIssuerSignsNothing: an issuer that another version has accepted as ready does not sign
// with an option that this version does not support.
func TestInvalidIssuerSignsNothing(t *testing.T) {
	t.Parallel()
	var reads int
	f := newFixture(t, interceptor.Funcs{Get: countSecretReads(&reads)})
	issuerWith(func(i *selfsigned.SelfSignedIssuer) { i.Spec.EmptySubject = "Ignore" })(t, &f)
	if result, err := f.reconcile(); err != nil || result.RequeueAfter != 0 {
		t.Errorf("got %+v, %v: want a wait for the issuer", result, err)
	}
	want := "Warning IssuerNotReady "
	if got := sent(f.recorder); len(got) != 1 || !strings.HasPrefix(got[0], want) || !strings.Contains(got[0], "spec.emptySubject") || reads > 0 {
		t.Errorf("got events %q after %d reads of the Secret, want %s for spec.emptySubject", got, reads, want)
	}
}

// TestSizeLimits: the limits of the options apply to the request and to the Secret.
func TestSizeLimits(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		options Options
		large   func(*testing.T, fixture)
		reason  string
		message string
	}{
		"large request": {Options{}, largeRequest, cmapi.CertificateRequestReasonFailed,
			"spec.request has 40000 bytes, more than the limit of 36500: "},
		"large request, raised": {Options{MaxCertificateSize: 40000}, largeRequest, cmapi.CertificateRequestReasonIssued, ""},
		"large key": {Options{}, largeKey, cmapi.CertificateRequestReasonPending,
			"20000 bytes, more than the limit of 13000: "},
		"large key, raised": {Options{MaxPrivateKeySize: 20000}, largeKey, cmapi.CertificateRequestReasonIssued, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, interceptor.Funcs{})
			f.reconciler.limits, f.reconciler.keys.limits = test.options.limits(), test.options.limits()
			test.large(t, f)
			if _, err := f.reconcile(); err != nil {
				t.Fatal(err)
			}
			if got := f.ready(t); got.Reason != test.reason || !strings.Contains(got.Message, test.message) {
				t.Errorf("the request is %q: %s\nwant %q: %s", got.Reason, got.Message, test.reason, test.message)
			}
		})
	}
}

func largeRequest(t *testing.T, f fixture) {
	t.Helper()
	f.changeRequest(t, func(request *cmapi.CertificateRequest) { request.Spec.Request = padded(request.Spec.Request, 40000) })
}

func largeKey(t *testing.T, f fixture) {
	t.Helper()
	secret := f.secret(t)
	secret.Data["tls.key"] = padded(secret.Data["tls.key"], 20000)
	if err := f.client.Update(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
}

func padded(data []byte, size int) []byte {
	return append(data, bytes.Repeat([]byte("\n"), size-len(data))...)
}

func (f fixture) changeRequest(t *testing.T, change func(*cmapi.CertificateRequest)) {
	t.Helper()
	var request cmapi.CertificateRequest
	if err := f.client.Get(t.Context(), requestKey, &request); err != nil {
		t.Fatal(err)
	}
	change(&request)
	if err := f.client.Update(t.Context(), &request); err != nil {
		t.Fatal(err)
	}
}

func (f fixture) secret(t *testing.T) *corev1.Secret {
	t.Helper()
	var secret corev1.Secret
	if err := f.client.Get(t.Context(), client.ObjectKey{Namespace: requestKey.Namespace, Name: "key"}, &secret); err != nil {
		t.Fatal(err)
	}
	return &secret
}

func (f fixture) key(t *testing.T) crypto.Signer {
	t.Helper()
	key, err := signer.ParsePrivateKey(f.secret(t).Data["tls.key"], signer.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// adjusted returns the event with this reason, or an empty string.
func (f fixture) adjusted() string {
	for {
		select {
		case event := <-f.recorder.Events:
			if strings.Contains(event, " "+outcome.Adjusted+" ") {
				return event
			}
		default:
			return ""
		}
	}
}

func signedWith(t *testing.T, key crypto.Signer, algorithm x509.SignatureAlgorithm) []byte {
	t.Helper()
	template := &x509.CertificateRequest{Subject: pkix.Name{CommonName: "example.com"}, SignatureAlgorithm: algorithm}
	der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
}
