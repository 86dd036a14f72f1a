// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package signer_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/cert-manager/cert-manager/pkg/util/pki"

	"github.com/cert-manager/selfsigned-issuer/signer"
)

// now is the default signing time.
var now = time.Date(2030, time.March, 1, 12, 0, 0, 0, time.UTC)

// Keys are generated once and shared, because RSA keys take seconds.
var (
	rsa2048 = onceRSA(2048)
	rsa3072 = onceRSA(3072)
	rsa4096 = onceRSA(4096)
	p256    = onceECDSA(elliptic.P256())
	p384    = onceECDSA(elliptic.P384())
	p521    = onceECDSA(elliptic.P521())
	ed      = sync.OnceValue(func() crypto.Signer {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		must(err)
		return key
	})
)

// everyKey has one key of each algorithm and size, except RSA 8192, which takes half a
// minute.
var everyKey = map[string]func() crypto.Signer{
	"RSA 2048": rsa2048, "RSA 3072": rsa3072, "RSA 4096": rsa4096,
	"P-256": p256, "P-384": p384, "P-521": p521, "Ed25519": ed,
}

func onceRSA(bits int) func() crypto.Signer {
	return sync.OnceValue(func() crypto.Signer {
		key, err := rsa.GenerateKey(rand.Reader, bits)
		must(err)
		return key
	})
}

func onceECDSA(curve elliptic.Curve) func() crypto.Signer {
	return sync.OnceValue(func() crypto.Signer {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		must(err)
		return key
	})
}

// reporter has the used methods of *testing.T, *testing.F and *rapid.T.
type reporter interface {
	Helper()
	Errorf(format string, args ...any)
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// must is for calls that only fail if the test is wrong.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

// encodeCSR signs a CSR and encodes it for spec.request.
func encodeCSR(t reporter, csr *x509.CertificateRequest, key crypto.Signer) []byte {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, csr, key)
	if err != nil {
		t.Fatalf("make CSR: %v", err)
	}
	return encodePEM("CERTIFICATE REQUEST", der)
}

func encodePEM(label string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: label, Bytes: der})
}

// leafRequest is the request for a Certificate that has only names.
func leafRequest(csr []byte) signer.Request {
	return signer.Request{
		CSR:      csr,
		Duration: 90 * 24 * time.Hour,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
	}
}

// caRequest is the request for a Certificate with isCA.
func caRequest(csr []byte) signer.Request {
	request := leafRequest(csr)
	request.IsCA = true
	request.KeyUsage |= x509.KeyUsageCertSign
	return request
}

func parse(t reporter, request signer.Request) *signer.ParsedRequest {
	t.Helper()
	candidate, err := signer.Parse(request, signer.Limits{})
	if err != nil {
		t.Fatalf("Parse: %v", err)
	}
	return candidate
}

// selfSign signs a valid request and returns the certificate.
func selfSign(t reporter, request signer.Request, key crypto.Signer, options signer.Options) (*x509.Certificate, signer.Result) {
	t.Helper()
	result, err := signer.SelfSign(parse(t, request), key, options, now)
	if err != nil {
		t.Fatalf("SelfSign: %v", err)
	}
	return decodeCertificate(t, result.PEM), result
}

func decodeCertificate(t reporter, data []byte) *x509.Certificate {
	t.Helper()
	block, rest := pem.Decode(data)
	if block == nil || block.Type != "CERTIFICATE" || len(rest) != 0 {
		t.Fatalf("not exactly one PEM-encoded certificate: %s", data)
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatalf("parse certificate: %v", err)
	}
	return certificate
}

// wantError checks reason and text of an error of the package.
func wantError(t reporter, err error, reason signer.Reason, texts ...string) {
	t.Helper()
	var failure *signer.Error
	if !errors.As(err, &failure) {
		t.Fatalf("got error %v, want one of type *signer.Error", err)
	}
	if failure.Reason != reason {
		t.Errorf("got reason %s, want %s (%v)", failure.Reason, reason, err)
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("got error %q, want it to contain %q", err, text)
		}
	}
}

// OIDs of RFC 5280 section 4.2.1.
var (
	oidSubjectKeyIdentifier   = asn1.ObjectIdentifier{2, 5, 29, 14}
	oidSubjectAltName         = asn1.ObjectIdentifier{2, 5, 29, 17}
	oidBasicConstraints       = asn1.ObjectIdentifier{2, 5, 29, 19}
	oidCRLDistributionPoints  = asn1.ObjectIdentifier{2, 5, 29, 31}
	oidAuthorityKeyIdentifier = asn1.ObjectIdentifier{2, 5, 29, 35}
)

func algorithmOf(key crypto.Signer) x509.PublicKeyAlgorithm {
	switch key.Public().(type) {
	case *rsa.PublicKey:
		return x509.RSA
	case *ecdsa.PublicKey:
		return x509.ECDSA
	default:
		return x509.Ed25519
	}
}

// keySize is the size in bits as a Certificate names it; Ed25519 has none.
func keySize(key crypto.Signer) int {
	switch public := key.Public().(type) {
	case *rsa.PublicKey:
		return public.N.BitLen()
	case *ecdsa.PublicKey:
		return public.Curve.Params().BitSize
	default:
		return 0
	}
}

// extension returns the extension with this OID, or nil.
func extension(certificate *x509.Certificate, oid asn1.ObjectIdentifier) *pkix.Extension {
	for i := range certificate.Extensions {
		if certificate.Extensions[i].Id.Equal(oid) {
			return &certificate.Extensions[i]
		}
	}
	return nil
}

func encodePKCS8(t reporter, key any) []byte {
	t.Helper()
	encoded, err := pki.EncodePKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return encoded
}
