// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package signer_test

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"testing"

	"github.com/cert-manager/cert-manager/pkg/util/pki"

	"github.com/cert-manager/selfsigned-issuer/signer"
)

// manyNames is a CSR of more than cert-manager's default limit.
func manyNames(t *testing.T) []byte {
	t.Helper()
	csr := x509.CertificateRequest{Subject: named.Subject}
	for i := range 1100 {
		csr.DNSNames = append(csr.DNSNames, fmt.Sprintf("host-%04d.shard.example.com", i))
	}
	encoded := encodeCSR(t, &csr, p256())
	if len(encoded) <= signer.DefaultMaxCertificateSize {
		t.Fatalf("the CSR has %d bytes, want more than %d", len(encoded), signer.DefaultMaxCertificateSize)
	}
	return encoded
}

func TestLargeCSR(t *testing.T) {
	request := leafRequest(manyNames(t))
	_, err := signer.Parse(request, signer.Limits{})
	wantError(t, err, signer.ReasonMalformedRequest, fmt.Sprint(len(request.CSR)), "36500")

	_, err = signer.Parse(request, signer.Limits{MaxCertificateSize: len(request.CSR) - 1})
	wantError(t, err, signer.ReasonMalformedRequest, fmt.Sprint(len(request.CSR)-1))

	candidate, err := signer.Parse(request, signer.Limits{MaxCertificateSize: len(request.CSR)})
	if err != nil {
		t.Fatal(err)
	}
	result, err := signer.SelfSign(candidate, p256(), signer.Options{}, now)
	if err != nil {
		t.Fatal(err)
	}
	if got := len(decodeCertificate(t, result.PEM).DNSNames); got != 1100 {
		t.Errorf("the certificate has %d DNS names, want 1100", got)
	}
}

func TestPrivateKeyLimit(t *testing.T) {
	data := paddedTo(encodePKCS8(t, p256()), 20000)
	_, err := signer.ParsePrivateKey(data, signer.Limits{})
	wantError(t, err, signer.ReasonUnusableKey, "20000", "13000")
	if _, err := signer.ParsePrivateKey(data, signer.Limits{MaxPrivateKeySize: 20000}); err != nil {
		t.Errorf("with a limit of 20000: %v", err)
	}
	_, err = signer.ParsePrivateKey(data, signer.Limits{MaxPrivateKeySize: 19999})
	wantError(t, err, signer.ReasonUnusableKey, "19999")
}

// TestDefaultLimitsAreCertManagers decodes with cert-manager, whose limits cannot be
// imported.
func TestDefaultLimitsAreCertManagers(t *testing.T) {
	key, csr := encodePKCS8(t, p256()), encodeCSR(t, named, p256())
	for size, accepted := range map[int]bool{signer.DefaultMaxPrivateKeySize: true, signer.DefaultMaxPrivateKeySize + 1: false} {
		_, theirs := pki.DecodePrivateKeyBytes(paddedTo(key, size))
		_, ours := signer.ParsePrivateKey(paddedTo(key, size), signer.Limits{})
		if (theirs == nil) != accepted || (ours == nil) != accepted {
			t.Errorf("key of %d bytes: cert-manager returns %v, we return %v", size, theirs, ours)
		}
	}
	for size, accepted := range map[int]bool{signer.DefaultMaxCertificateSize: true, signer.DefaultMaxCertificateSize + 1: false} {
		_, theirs := pki.DecodeX509CertificateRequestBytes(paddedTo(csr, size))
		_, ours := signer.Parse(leafRequest(paddedTo(csr, size)), signer.Limits{})
		if (theirs == nil) != accepted || (ours == nil) != accepted {
			t.Errorf("CSR of %d bytes: cert-manager returns %v, we return %v", size, theirs, ours)
		}
	}
}

func paddedTo(data []byte, size int) []byte {
	return append(bytes.Clone(data), bytes.Repeat([]byte("\n"), size-len(data))...)
}
