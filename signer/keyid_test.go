// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package signer_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"testing"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	"github.com/cert-manager/cert-manager/pkg/util/pki"

	"github.com/cert-manager/selfsigned-issuer/signer"
)

// TestKeyIdentifiers: leaf and CA certificates have two equal key identifiers.
func TestKeyIdentifiers(t *testing.T) {
	for name, key := range everyKey {
		for method, hash := range map[signer.KeyIdentifier]func([]byte) []byte{
			"":                         sha256Identifier,
			signer.KeyIdentifierSHA256: sha256Identifier,
			signer.KeyIdentifierSHA1:   sha1Identifier,
		} {
			csr := encodeCSR(t, named, key())
			for _, request := range []signer.Request{leafRequest(csr), caRequest(csr)} {
				certificate, _ := selfSign(t, request, key(), signer.Options{SubjectKeyIdentifier: method})
				want := hash(publicKeyBits(t, certificate))
				if !bytes.Equal(certificate.SubjectKeyId, want) {
					t.Errorf("%s, %q, CA %v: got SKI %x, want %x", name, method, request.IsCA, certificate.SubjectKeyId, want)
				}
				if !bytes.Equal(certificate.AuthorityKeyId, want) {
					t.Errorf("%s, %q, CA %v: got AKI %x, want %x", name, method, request.IsCA, certificate.AuthorityKeyId, want)
				}
			}
		}
	}
}

func sha256Identifier(bits []byte) []byte {
	sum := sha256.Sum256(bits)
	return sum[:20]
}

func sha1Identifier(bits []byte) []byte {
	sum := sha1.Sum(bits)
	return sum[:]
}

// publicKeyBits decodes subjectPublicKey from the certificate itself.
func publicKeyBits(t *testing.T, certificate *x509.Certificate) []byte {
	t.Helper()
	var info struct {
		Algorithm asn1.RawValue
		Key       asn1.BitString
	}
	if _, err := asn1.Unmarshal(certificate.RawSubjectPublicKeyInfo, &info); err != nil {
		t.Fatal(err)
	}
	return info.Key.Bytes
}

// TestRenewedRootAnchorsOldLeaves: leaf certificates verify with the renewed root, which
// has the same key.
func TestRenewedRootAnchorsOldLeaves(t *testing.T) {
	for name, key := range everyKey {
		request := caRequest(encodeCSR(t, named, key()))
		ours := func(options signer.Options) *x509.Certificate {
			certificate, _ := selfSign(t, request, key(), options)
			return certificate
		}
		for change, roots := range map[string]struct{ old, renewed *x509.Certificate }{
			"renewed":                             {ours(signer.Options{}), ours(signer.Options{Backdate: time.Hour})},
			"switched from in-tree":               {inTree(t, key()), ours(signer.Options{})},
			"switched to in-tree":                 {ours(signer.Options{}), inTree(t, key())},
			"switched from in-tree of before":     {withSHA1Identifier(t, key()), ours(signer.Options{SubjectKeyIdentifier: signer.KeyIdentifierSHA1})},
			"renewed with another key identifier": {ours(signer.Options{}), ours(signer.Options{SubjectKeyIdentifier: signer.KeyIdentifierSHA1})},
		} {
			t.Run(name+"/"+change, func(t *testing.T) {
				leaf := issueLeaf(t, roots.old, key())
				if err := verify(leaf, roots.renewed); err != nil {
					t.Errorf("Go: %v", err)
				}
				same := bytes.Equal(roots.old.SubjectKeyId, roots.renewed.SubjectKeyId)
				if want := change != "renewed with another key identifier"; same != want {
					t.Errorf("subject key identifier stayed the same: %v, want %v", same, want)
				}
				// OpenSSL, unlike Go, requires that key identifiers match.
				if err := opensslVerify(t, leaf, roots.renewed); (err == nil) != same {
					t.Errorf("openssl: %v, although the identifier stayed the same: %v", err, same)
				}
			})
		}
	}
}

// inTree signs named like cert-manager's SelfSigned issuer.
func inTree(t *testing.T, key crypto.Signer) *x509.Certificate {
	t.Helper()
	template, err := pki.CertificateTemplateFromCertificateRequest(&cmapi.CertificateRequest{Spec: cmapi.CertificateRequestSpec{
		Request: encodeCSR(t, named, key), IsCA: true,
	}})
	if err != nil {
		t.Fatal(err)
	}
	return inTreeAt(t, template, key)
}

// withSHA1Identifier signs like cert-manager that is built with Go 1.24 or earlier.
func withSHA1Identifier(t *testing.T, key crypto.Signer) *x509.Certificate {
	t.Helper()
	template := *inTree(t, key)
	template.SubjectKeyId = sha1Identifier(publicKeyBits(t, &template))
	return inTreeAt(t, &template, key)
}

func inTreeAt(t *testing.T, template *x509.Certificate, key crypto.Signer) *x509.Certificate {
	t.Helper()
	template.NotBefore, template.NotAfter = now, now.Add(90*24*time.Hour)
	_, certificate, err := pki.SignCertificate(template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

// issueLeaf signs a leaf certificate like cert-manager's CA issuer, with the key
// identifier of the root.
func issueLeaf(t *testing.T, root *x509.Certificate, rootKey crypto.Signer) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "leaf"}, DNSNames: []string{"leaf.example.com"},
		NotBefore: now, NotAfter: now.Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, root, ed().Public(), rootKey)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return leaf
}

// verify verifies a certificate with Go, for any usage.
func verify(certificate, root *x509.Certificate) error {
	roots := x509.NewCertPool()
	roots.AddCert(root)
	_, err := certificate.Verify(x509.VerifyOptions{
		Roots: roots, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	return err
}
