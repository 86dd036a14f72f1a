// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
)

// TestMalformedRequests needs a namespace without cert-manager's webhook, which refuses most
// of them. No Secret is there: what can never be signed fails without looking for one.
func TestMalformedRequests(t *testing.T) {
	const frame = "The request cannot be turned into a certificate: %. Correct the Certificate, or create the CertificateRequest again with a correct spec.request."
	before, after, _ := strings.Cut(frame, "%")
	for _, test := range []struct {
		name    string
		spoil   func(*testing.T, *cmapi.CertificateRequest)
		because string
	}{
		{"not PEM", func(_ *testing.T, r *cmapi.CertificateRequest) { r.Spec.Request = []byte("no PEM at all") }, "pem"},
		{"PEM of something else", func(_ *testing.T, r *cmapi.CertificateRequest) {
			r.Spec.Request = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: []byte("100 %d %s")})
		}, "pem"},
		{"signature of another key", spoilSignature, "signature"},
		{"usages that differ from the CSR's", func(t *testing.T, r *cmapi.CertificateRequest) {
			r.Spec.Request = csrWithKeyUsage(t)
			r.Spec.Usages = []cmapi.KeyUsage{cmapi.UsageCertSign}
		}, "usage"},
		{"CA in the CSR only", func(t *testing.T, r *cmapi.CertificateRequest) {
			r.Spec.Request = csrWithBasicConstraints(t)
		}, "isca true does not match expected value false"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			namespace := newNamespace(t, unvalidated)
			request := newRequest(t, namespace, newKey(t))
			test.spoil(t, request)
			create(t, request)
			await(t, "failure", func(context.Context) string {
				get(t, request)
				if ready(request).Reason != "Failed" {
					return fmt.Sprintf("%+v", request.Status)
				}
				return ""
			})
			got := ready(request)
			if got.Status != cmmeta.ConditionFalse || !strings.HasPrefix(got.Message, before) || !strings.HasSuffix(got.Message, after) {
				t.Errorf("message %q", got.Message)
			}
			if !strings.Contains(strings.ToLower(got.Message), test.because) {
				t.Errorf("message %q does not say %q", got.Message, test.because)
			}
			awaitEvent(t, request, "Warning", "ErrorGenerating", got.Message)
			checkFailed(t, request)
			checkEvents(t, request, "ErrorGenerating")
		})
	}
}

// spoilSignature changes a bit of the CSR's signature.
func spoilSignature(_ *testing.T, request *cmapi.CertificateRequest) {
	block, _ := pem.Decode(request.Spec.Request)
	block.Bytes[len(block.Bytes)-1] ^= 1
	request.Spec.Request = pem.EncodeToMemory(block)
}

// csrWithKeyUsage asks for "digital signature" in the CSR itself.
func csrWithKeyUsage(t *testing.T) []byte {
	t.Helper()
	return csrWithExtension(t, []int{2, 5, 29, 15}, []byte{0x03, 0x02, 0x07, 0x80})
}

// csrWithBasicConstraints asks for a CA certificate in the CSR itself.
func csrWithBasicConstraints(t *testing.T) []byte {
	t.Helper()
	return csrWithExtension(t, []int{2, 5, 29, 19}, []byte{0x30, 0x03, 0x01, 0x01, 0xff})
}

func csrWithExtension(t *testing.T, id asn1.ObjectIdentifier, value []byte) []byte {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject:         pkix.Name{CommonName: "example.com"},
		ExtraExtensions: []pkix.Extension{{Id: id, Critical: true, Value: value}},
	}, newKey(t))
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
}
