// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package issuance_test

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"testing"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/certmanager"
)

// smartcardLogon is a usage that cert-manager has no name for.
const smartcardLogon = "1.3.6.1.4.1.311.20.2.2"

// TestMalformedRequests needs a namespace without cert-manager's webhook, which rejects most of
// them. There is no Secret: an invalid request fails without it.
func TestMalformedRequests(t *testing.T) {
	for _, test := range []struct {
		name    string
		spoil   func(*testing.T, *cmapi.CertificateRequest)
		mention string
	}{
		{"not PEM", func(_ *testing.T, r *cmapi.CertificateRequest) { r.Spec.Request = []byte("no PEM at all") },
			"PEM"},
		{"PEM of something else", func(_ *testing.T, r *cmapi.CertificateRequest) {
			r.Spec.Request = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: []byte("100 %d %s")})
		}, "asn1: structure error: tags don't match"},
		{"signature of another key", corruptSignature,
			"x509: ECDSA verification failure"},
		{"usages that differ from the CSR's", func(t *testing.T, r *cmapi.CertificateRequest) {
			r.Spec.Request = csrWithKeyUsage(t)
			r.Spec.Usages = []cmapi.KeyUsage{cmapi.UsageCertSign}
		}, "encoded CSR error: the KeyUsages [ 'digital signature' ] do not match the expected KeyUsages [ 'cert sign' ]"},
		{"extended key usage that the usages do not name", func(t *testing.T, r *cmapi.CertificateRequest) {
			r.Spec.Request = smartcardRequest(t)
			r.Spec.Usages = []cmapi.KeyUsage{cmapi.UsageDigitalSignature, cmapi.UsageServerAuth}
		}, smartcardLogon},
		{"CA in the CSR only", func(t *testing.T, r *cmapi.CertificateRequest) {
			r.Spec.Request = csrWithBasicConstraints(t)
		}, "encoded CSR error: IsCA true does not match expected value false"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			namespace := newNamespace(t, certmanager.DisableValidationLabel)
			request := newRequest(t, namespace, newKey(t))
			test.spoil(t, request)
			env.Create(t, request)
			awaitOutcome(t, request, cmmeta.ConditionFalse, "Failed", "Warning", "ErrorGenerating", test.mention, "spec.request")
			checkFailed(t, request)
			checkEvents(t, request, "ErrorGenerating")
		})
	}
}

// corruptSignature changes one bit of the CSR's signature.
func corruptSignature(_ *testing.T, request *cmapi.CertificateRequest) {
	block, _ := pem.Decode(request.Spec.Request)
	block.Bytes[len(block.Bytes)-1] ^= 1
	request.Spec.Request = pem.EncodeToMemory(block)
}

// csrWithKeyUsage requests "digital signature" in the CSR.
func csrWithKeyUsage(t *testing.T) []byte {
	t.Helper()
	return csrWithExtension(t, []int{2, 5, 29, 15}, []byte{0x03, 0x02, 0x07, 0x80})
}

// smartcardRequest asks for "digital signature" and "server auth", and for smart card
// logon, which cert-manager has no name for.
func smartcardRequest(t *testing.T) []byte {
	t.Helper()
	usages, err := asn1.Marshal([]asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 1}, {1, 3, 6, 1, 4, 1, 311, 20, 2, 2}})
	if err != nil {
		t.Fatal(err)
	}
	return csrOf(t, newKey(t),
		pkix.Extension{Id: []int{2, 5, 29, 15}, Critical: true, Value: []byte{0x03, 0x02, 0x07, 0x80}},
		pkix.Extension{Id: []int{2, 5, 29, 37}, Value: usages})
}

// csrWithBasicConstraints requests a CA certificate in the CSR.
func csrWithBasicConstraints(t *testing.T) []byte {
	t.Helper()
	return csrWithExtension(t, []int{2, 5, 29, 19}, []byte{0x30, 0x03, 0x01, 0x01, 0xff})
}

// caRequest requests a CA certificate with a path length.
func caRequest(t *testing.T, key crypto.Signer, pathLength int) []byte {
	t.Helper()
	value, err := asn1.Marshal(struct {
		IsCA   bool
		Length int
	}{true, pathLength})
	if err != nil {
		t.Fatal(err)
	}
	return csrOf(t, key, pkix.Extension{Id: []int{2, 5, 29, 19}, Critical: true, Value: value})
}

func csrWithExtension(t *testing.T, id asn1.ObjectIdentifier, value []byte) []byte {
	t.Helper()
	return csrOf(t, newKey(t), pkix.Extension{Id: id, Critical: true, Value: value})
}

func csrOf(t *testing.T, key crypto.Signer, extensions ...pkix.Extension) []byte {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject:         pkix.Name{CommonName: "example.com"},
		ExtraExtensions: extensions,
	}, key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
}
