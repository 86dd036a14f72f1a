// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package pki_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/cert-manager/selfsigned-issuer/cmd/kubectl-selfsigned/internal/pki"
)

// newCertificate returns a certificate that is signed by itself, or by a parent with the same key.
func newCertificate(t *testing.T, key crypto.Signer, template, parent *x509.Certificate) (*x509.Certificate, []byte) {
	t.Helper()
	template.SerialNumber = big.NewInt(1)
	encoded, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(encoded)
	if err != nil {
		t.Fatal(err)
	}
	return certificate, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: encoded})
}

// TestDecodeSecret skips the key, which is not even valid base64.
func TestDecodeSecret(t *testing.T) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{Subject: pkix.Name{CommonName: "leaf"}}
	leaf, encoded := newCertificate(t, key, template, template)
	secret := func(certificates, ca string) []byte {
		return fmt.Appendf(nil, `{"kind": "Secret", "data": {"tls.key": "?", "tls.crt": %q, "ca.crt": %q}}`,
			base64.StdEncoding.EncodeToString([]byte(certificates)), base64.StdEncoding.EncodeToString([]byte(ca)))
	}
	one := string(encoded)
	invalid := "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
	private := "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
	got, err := pki.DecodeSecret(secret(private+one+one, one))
	if err != nil || !got.Certificate.Equal(leaf) || len(got.CAs) != 2 {
		t.Errorf("got %+v, %v", got, err)
	}
	for name, test := range map[string]struct {
		content []byte
		want    string
	}{
		"no certificate": {secret("", one), "tls.crt: no certificate"},
		"tls.crt":        {secret(invalid, ""), "tls.crt: x509: "},
		"ca.crt":         {secret(one, invalid), "ca.crt: x509: "},
		"no JSON":        {[]byte("<"), "invalid character '<'"},
	} {
		if _, err := pki.DecodeSecret(test.content); err == nil || !strings.HasPrefix(err.Error(), test.want) {
			t.Errorf("%s: %v, want %s", name, err, test.want)
		}
	}
}

func TestAlgorithm(t *testing.T) {
	curve, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for want, key := range map[string]crypto.PublicKey{
		"RSA 2048":  &rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 2047)},
		"ECDSA 384": curve.Public(),
		"Ed25519":   ed25519.PublicKey{},
		"unknown":   nil,
	} {
		if got := pki.Algorithm(key); got != want {
			t.Errorf("%T: %s, want %s", key, got, want)
		}
	}
}

// TestSigned changes one of name, key identifier and key.
func TestSigned(t *testing.T) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, otherKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	authority := func(name string, identifier byte, key crypto.Signer) *x509.Certificate {
		template := &x509.Certificate{Subject: pkix.Name{CommonName: name}, SubjectKeyId: []byte{identifier}, IsCA: true, BasicConstraintsValid: true}
		ca, _ := newCertificate(t, key, template, template)
		return ca
	}
	root := authority("root", 1, key)
	leaf, _ := newCertificate(t, key, &x509.Certificate{Subject: pkix.Name{CommonName: "leaf"}}, root)
	for name, test := range map[string]struct {
		ca   *x509.Certificate
		want bool
	}{
		"the CA":                 {root, true},
		"another name":           {authority("other", 1, key), false},
		"another key identifier": {authority("root", 2, key), false},
		"another key":            {authority("root", 1, otherKey), false},
	} {
		if got := pki.Signed(leaf, test.ca); got != test.want {
			t.Errorf("signed by %s: %t", name, got)
		}
	}
	if !pki.SameKey(leaf, root) || pki.SameKey(leaf, authority("root", 1, otherKey)) {
		t.Error("SameKey does not compare keys")
	}
	if got := pki.KeyIdentifier(root); got != "01" {
		t.Errorf("key identifier %s of the extension", got)
	}
	if got := pki.KeyIdentifier(leaf); len(got) != 40 {
		t.Errorf("computed key identifier %s", got)
	}
}
