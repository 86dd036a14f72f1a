// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package signer_test

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"testing"

	"github.com/cert-manager/selfsigned-issuer/signer"
)

// named algorithms, by the type of key they are for.
var algorithms = map[x509.PublicKeyAlgorithm]map[signer.SignatureAlgorithm]x509.SignatureAlgorithm{
	x509.RSA: {
		"SHA256WithRSA": x509.SHA256WithRSA, "SHA384WithRSA": x509.SHA384WithRSA, "SHA512WithRSA": x509.SHA512WithRSA,
		"SHA256WithRSAPSS": x509.SHA256WithRSAPSS, "SHA384WithRSAPSS": x509.SHA384WithRSAPSS, "SHA512WithRSAPSS": x509.SHA512WithRSAPSS,
	},
	x509.ECDSA:   {"ECDSAWithSHA256": x509.ECDSAWithSHA256, "ECDSAWithSHA384": x509.ECDSAWithSHA384, "ECDSAWithSHA512": x509.ECDSAWithSHA512},
	x509.Ed25519: {"PureEd25519": x509.PureEd25519},
}

// lists are what an error offers for a type of key.
var lists = map[x509.PublicKeyAlgorithm]string{
	x509.RSA:     "FromKey, FromRequest, SHA256WithRSA, SHA384WithRSA, SHA512WithRSA, SHA256WithRSAPSS, SHA384WithRSAPSS, SHA512WithRSAPSS",
	x509.ECDSA:   "FromKey, FromRequest, ECDSAWithSHA256, ECDSAWithSHA384, ECDSAWithSHA512",
	x509.Ed25519: "FromKey, FromRequest, PureEd25519",
}

func TestAlgorithmFromKey(t *testing.T) {
	for name, want := range map[string]x509.SignatureAlgorithm{
		"RSA 2048": x509.SHA256WithRSA, "RSA 3072": x509.SHA384WithRSA, "RSA 4096": x509.SHA512WithRSA,
		"P-256": x509.ECDSAWithSHA256, "P-384": x509.ECDSAWithSHA384, "P-521": x509.ECDSAWithSHA512, "Ed25519": x509.PureEd25519,
	} {
		for _, option := range []signer.SignatureAlgorithm{"", signer.SignatureAlgorithmFromKey} {
			key := everyKey[name]()
			certificate, _ := selfSign(t, leafRequest(encodeCSR(t, named, key)), key, signer.Options{SignatureAlgorithm: option})
			if certificate.SignatureAlgorithm != want {
				t.Errorf("%s, option %q: got %s, want %s", name, option, certificate.SignatureAlgorithm, want)
			}
		}
	}
}

// TestNamedAlgorithm pairs every key with every algorithm.
func TestNamedAlgorithm(t *testing.T) {
	for keyName, key := range everyKey {
		for keyType, named := range algorithms {
			for name, algorithm := range named {
				t.Run(fmt.Sprintf("%s signs with %s", keyName, name), func(t *testing.T) {
					testNamedAlgorithm(t, keyName, keyType, name, algorithm)
				})
			}
		}
		t.Run(keyName+" signs with nonsense", func(t *testing.T) {
			_, err := signer.SelfSign(parse(t, leafRequest(encodeCSR(t, named, key()))), key(), signer.Options{SignatureAlgorithm: "MD5"}, now)
			wantError(t, err, signer.ReasonSignatureAlgorithm, `"MD5"`, lists[algorithmOf(key())])
		})
	}
}

func testNamedAlgorithm(t *testing.T, keyName string, keyType x509.PublicKeyAlgorithm, name signer.SignatureAlgorithm, want x509.SignatureAlgorithm) {
	key := everyKey[keyName]()
	candidate := parse(t, leafRequest(encodeCSR(t, named, key)))
	result, err := signer.SelfSign(candidate, key, signer.Options{SignatureAlgorithm: name}, now)
	if keyType != algorithmOf(key) {
		wantError(t, err, signer.ReasonSignatureAlgorithm, "spec.signatureAlgorithm", string(name), "use one of "+lists[algorithmOf(key)])
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	certificate := decodeCertificate(t, result.PEM)
	if certificate.SignatureAlgorithm != want {
		t.Errorf("got %s", certificate.SignatureAlgorithm)
	}
	if err := certificate.CheckSignature(want, certificate.RawTBSCertificate, certificate.Signature); err != nil {
		t.Errorf("the signature does not verify: %v", err)
	}
}

func TestAlgorithmFromRequest(t *testing.T) {
	for keyName, key := range everyKey {
		for name, algorithm := range algorithms[algorithmOf(key())] {
			csr := *named
			csr.SignatureAlgorithm = algorithm
			request := leafRequest(encodeCSR(t, &csr, key()))
			certificate, _ := selfSign(t, request, key(), signer.Options{SignatureAlgorithm: signer.SignatureAlgorithmFromRequest})
			if certificate.SignatureAlgorithm != algorithm {
				t.Errorf("%s, request signed with %s: got %s", keyName, name, certificate.SignatureAlgorithm)
			}
		}
	}
}

// TestAlgorithmFromRequestRefusesSHA1: Go verifies such a request, and in-tree
// signs it with an algorithm of its own choice.
func TestAlgorithmFromRequestRefusesSHA1(t *testing.T) {
	csr := *named
	csr.SignatureAlgorithm = x509.SHA1WithRSA
	candidate := parse(t, leafRequest(encodeCSR(t, &csr, rsa2048())))
	_, err := signer.SelfSign(candidate, rsa2048(), signer.Options{SignatureAlgorithm: signer.SignatureAlgorithmFromRequest}, now)
	wantError(t, err, signer.ReasonSignatureAlgorithm, "SHA1-RSA", "FromRequest", lists[x509.RSA])

	if _, err := signer.SelfSign(candidate, rsa2048(), signer.Options{}, now); err != nil {
		t.Errorf("without the option it is signed as in-tree, but: %v", err)
	}
}

// TestPSSParameters: RFC 4055 section 3.1 wants them spelt out, and crypto/x509
// has no way to show them.
func TestPSSParameters(t *testing.T) {
	certificate, _ := selfSign(t, leafRequest(encodeCSR(t, named, rsa2048())), rsa2048(), signer.Options{SignatureAlgorithm: "SHA384WithRSAPSS"})
	var outer struct {
		TBS       asn1.RawValue
		Algorithm asn1.RawValue
		Signature asn1.BitString
	}
	if _, err := asn1.Unmarshal(certificate.Raw, &outer); err != nil {
		t.Fatal(err)
	}
	sha384 := []byte{0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 2}
	if got := bytes.Count(outer.Algorithm.FullBytes, sha384); got != 2 {
		t.Errorf("SHA-384 is named %d times in %x, want twice: hash and mask", got, outer.Algorithm.FullBytes)
	}
}
