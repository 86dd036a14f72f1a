// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package signer_test

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"maps"
	"slices"
	"testing"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"

	"github.com/cert-manager/selfsigned-issuer/signer"
)

// named algorithms, by their type of key.
var algorithms = map[x509.PublicKeyAlgorithm]map[signer.SignatureAlgorithm]x509.SignatureAlgorithm{
	x509.RSA: {
		"SHA256WithRSA": x509.SHA256WithRSA, "SHA384WithRSA": x509.SHA384WithRSA, "SHA512WithRSA": x509.SHA512WithRSA,
		"SHA256WithRSAPSS": x509.SHA256WithRSAPSS, "SHA384WithRSAPSS": x509.SHA384WithRSAPSS, "SHA512WithRSAPSS": x509.SHA512WithRSAPSS,
	},
	x509.ECDSA:   {"ECDSAWithSHA256": x509.ECDSAWithSHA256, "ECDSAWithSHA384": x509.ECDSAWithSHA384, "ECDSAWithSHA512": x509.ECDSAWithSHA512},
	x509.Ed25519: {"PureEd25519": x509.PureEd25519},
}

// lists are the algorithms in an error, by the type of key.
var lists = map[x509.PublicKeyAlgorithm]string{
	x509.RSA:     "SHA256WithRSA, SHA384WithRSA, SHA512WithRSA, SHA256WithRSAPSS, SHA384WithRSAPSS, SHA512WithRSAPSS",
	x509.ECDSA:   "ECDSAWithSHA256, ECDSAWithSHA384, ECDSAWithSHA512",
	x509.Ed25519: "PureEd25519",
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

// TestNamedAlgorithm combines each key with each algorithm.
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
			wantError(t, err, signer.ReasonSignatureAlgorithm, `"MD5"`, "FromKey, FromRequest", lists[algorithmOf(key())])
		})
	}
}

func testNamedAlgorithm(t *testing.T, keyName string, keyType x509.PublicKeyAlgorithm, name signer.SignatureAlgorithm, want x509.SignatureAlgorithm) {
	key := everyKey[keyName]()
	candidate := parse(t, leafRequest(encodeCSR(t, named, key)))
	result, err := signer.SelfSign(candidate, key, signer.Options{SignatureAlgorithm: name}, now)
	if keyType != algorithmOf(key) {
		wantError(t, err, signer.ReasonSignatureAlgorithm, "spec.signatureAlgorithm", string(name), "FromKey, FromRequest", lists[algorithmOf(key)])
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

// TestAlgorithmFromRequestRefusesSHA1: Go verifies such a request, and the in-tree
// issuer signs it with another algorithm.
func TestAlgorithmFromRequestRefusesSHA1(t *testing.T) {
	csr := *named
	csr.SignatureAlgorithm = x509.SHA1WithRSA
	candidate := parse(t, leafRequest(encodeCSR(t, &csr, rsa2048())))
	_, err := signer.SelfSign(candidate, rsa2048(), signer.Options{SignatureAlgorithm: signer.SignatureAlgorithmFromRequest}, now)
	wantError(t, err, signer.ReasonSignatureAlgorithm, "SHA1-RSA", "FromKey", "FromRequest", lists[x509.RSA])

	if _, err := signer.SelfSign(candidate, rsa2048(), signer.Options{}, now); err != nil {
		t.Errorf("without the option it is signed as in-tree, but: %v", err)
	}
}

// TestAlgorithmNote signs for Certificates with an algorithm. FromKey and an algorithm of
// the issuer override it.
func TestAlgorithmNote(t *testing.T) {
	for _, test := range []struct {
		key    string
		asked  cmapi.SignatureAlgorithm
		option signer.SignatureAlgorithm
		used   string // empty: no note
	}{
		{"P-521", cmapi.ECDSAWithSHA384, "", "ECDSAWithSHA512"},
		{"P-521", cmapi.ECDSAWithSHA256, signer.SignatureAlgorithmFromKey, "ECDSAWithSHA512"},
		{"P-521", cmapi.ECDSAWithSHA512, "", ""},
		{"P-521", cmapi.ECDSAWithSHA384, signer.SignatureAlgorithmFromRequest, ""},
		{"P-521", cmapi.ECDSAWithSHA384, "ECDSAWithSHA256", "ECDSAWithSHA256"},
		{"P-521", cmapi.ECDSAWithSHA384, "ECDSAWithSHA384", ""},
		{"RSA 2048", cmapi.SHA512WithRSA, "", "SHA256WithRSA"},
		{"RSA 2048", cmapi.SHA512WithRSA, "SHA256WithRSAPSS", "SHA256WithRSAPSS"},
		{"RSA 4096", cmapi.SHA256WithRSA, "", "SHA512WithRSA"},
		{"Ed25519", cmapi.PureEd25519, "", ""},
	} {
		t.Run(fmt.Sprintf("%s asks for %s, issuer has %q", test.key, test.asked, test.option), func(t *testing.T) {
			key := everyKey[test.key]()
			request := certificateRequest(t, cmapi.CertificateSpec{CommonName: "example", SignatureAlgorithm: test.asked}, key)
			_, result := selfSign(t, request, key, signer.Options{SignatureAlgorithm: test.option})
			if test.used != "" {
				wantNote(t, result, test.used, string(test.asked))
			} else {
				wantNote(t, result)
			}

			request.FromCertificate = false
			_, result = selfSign(t, request, key, signer.Options{SignatureAlgorithm: test.option})
			wantNote(t, result)
		})
	}
}

// TestNoAlgorithmNoteByDefault: no warning if the Certificate has no algorithm and
// cert-manager signs the CSR with its default. For an RSA key of 4095 bits, the default
// for the CSR differs from that for the certificate.
func TestNoAlgorithmNoteByDefault(t *testing.T) {
	keys := maps.Clone(everyKey)
	keys["RSA 4095"] = onceRSA(4095)
	for name, key := range keys {
		request := certificateRequest(t, cmapi.CertificateSpec{CommonName: "example"}, key())
		options := []signer.SignatureAlgorithm{"", signer.SignatureAlgorithmFromKey, signer.SignatureAlgorithmFromRequest}
		for _, option := range slices.AppendSeq(options, maps.Keys(algorithms[algorithmOf(key())])) {
			if _, result := selfSign(t, request, key(), signer.Options{SignatureAlgorithm: option}); len(result.Warnings) != 0 {
				t.Errorf("%s, option %q: got notes %q, want none", name, option, result.Warnings)
			}
		}
	}
}

// certificateRequest is the request for a Certificate.
func certificateRequest(t *testing.T, spec cmapi.CertificateSpec, key crypto.Signer) signer.Request {
	t.Helper()
	request := signerRequest(t, requestFor(t, spec, key))
	request.FromCertificate = true
	return request
}

// TestPSSParameters: RFC 4055 section 3.1 requires them, and crypto/x509 does not parse
// them.
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
