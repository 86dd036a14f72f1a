// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package signer_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"slices"
	"testing"
	"time"

	"github.com/cert-manager/cert-manager/pkg/util/pki"

	"github.com/cert-manager/selfsigned-issuer/signer"
)

// malformedRequests are rejected by Parse.
func malformedRequests(t *testing.T) map[string]signer.Request {
	t.Helper()
	good := encodeCSR(t, named, p256())
	return map[string]signer.Request{
		"no CSR":                    leafRequest(nil),
		"certificate":               leafRequest(encodePEM("CERTIFICATE", []byte{0x30, 0})),
		"cut off":                   leafRequest(good[:len(good)/2]),
		"huge":                      leafRequest(bytes.Repeat([]byte("A"), 1<<20)),
		"wrong signature":           leafRequest(forged(t, good)),
		"no duration":               {CSR: good},
		"past duration":             {CSR: good, Duration: -time.Hour},
		"P-224":                     leafRequest(p224CSR(t)),
		"RSA 1024":                  leafRequest(rsa1024CSR(t)),
		"unknown key":               leafRequest(unknownKeyCSR(t, good)),
		"CA that asks for a leaf":   leafRequest(csrWithPathLength(t, true, nil)),
		"leaf that asks for a CA":   caRequest(csrWithPathLength(t, false, nil)),
		"other key usages":          leafRequest(csrWith(t, keyUsage(t, x509.KeyUsageCRLSign))),
		"other extended usages":     serverRequest(csrWith(t, keyUsage(t, x509.KeyUsageDigitalSignature|x509.KeyUsageKeyEncipherment))),
		"unknown extended usage":    serverRequest(csrWith(t, keyUsage(t, leafUsage), extKeyUsage(t, serverAuth, smartcardLogon))),
		"usages repeated":           {CSR: good, Duration: time.Hour, ExtKeyUsage: slices.Repeat([]x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, 100_000)},
		"only an unknown usage":     leafRequest(csrWith(t, extKeyUsage(t, smartcardLogon))),
		"two unknown usages":        serverRequest(csrWith(t, keyUsage(t, leafUsage), extKeyUsage(t, smartcardLogon, serverAuth, documentSigning))),
		"unnamed extended usage":    serverRequest(csrWith(t, keyUsage(t, leafUsage), extKeyUsage(t, serverAuth, clientAuth))),
		"extended usage by default": leafRequest(csrWith(t, keyUsage(t, leafUsage), extKeyUsage(t, serverAuth))),
		"missing extended usage":    serverRequest(csrWith(t, keyUsage(t, leafUsage), extKeyUsage(t))),
		"damaged extended usage":    leafRequest(csrWith(t, pkix.Extension{Id: pki.OIDExtensionExtendedKeyUsage, Value: []byte{0x30, 1}})),
		"damaged key usages":        leafRequest(csrWith(t, pkix.Extension{Id: pki.OIDExtensionKeyUsage, Value: []byte{1}})),
		"damaged constraints":       leafRequest(csrWith(t, pkix.Extension{Id: pki.OIDExtensionBasicConstraints, Value: []byte{0x30, 0x80}})),
		"damaged name constraint":   caRequest(csrWith(t, pkix.Extension{Id: pki.OIDExtensionNameConstraints, Value: []byte{0x30, 1}})),
		"damaged SAN":               leafRequest(csrWith(t, pkix.Extension{Id: oidSubjectAltName, Value: []byte{0x30, 2, 0x87, 0}})),
	}
}

// TestParseRefuses: TestGeneratedMessages compares the texts.
func TestParseRefuses(t *testing.T) {
	for name, request := range malformedRequests(t) {
		t.Run(name, func(t *testing.T) {
			_, err := signer.Parse(request, signer.Limits{})
			wantError(t, err, signer.ReasonMalformedRequest)
		})
	}
}

func csrWith(t *testing.T, extensions ...pkix.Extension) []byte {
	t.Helper()
	return encodeCSR(t, &x509.CertificateRequest{Subject: named.Subject, ExtraExtensions: extensions}, p256())
}

func keyUsage(t *testing.T, usage x509.KeyUsage) pkix.Extension {
	t.Helper()
	extension, err := pki.MarshalKeyUsage(usage)
	if err != nil {
		t.Fatal(err)
	}
	return extension
}

// The key usages of a leafRequest, and OIDs of extended key usages: Go supports the
// first two.
var (
	leafUsage       = leafRequest(nil).KeyUsage
	serverAuth      = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 1}
	clientAuth      = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 2}
	documentSigning = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 36}
	smartcardLogon  = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 20, 2, 2}
)

func extKeyUsage(t *testing.T, usages ...asn1.ObjectIdentifier) pkix.Extension {
	t.Helper()
	extension, err := pki.MarshalExtKeyUsage(nil, usages)
	if err != nil {
		t.Fatal(err)
	}
	return extension
}

func serverRequest(csr []byte) signer.Request {
	request := leafRequest(csr)
	request.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	return request
}

// forged changes the last byte of a CSR, which is a part of its signature.
func forged(t *testing.T, csr []byte) []byte {
	t.Helper()
	block, _ := pem.Decode(csr)
	block.Bytes[len(block.Bytes)-1] ^= 1
	return pem.EncodeToMemory(block)
}

func p224CSR(t *testing.T) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	must(err)
	return encodeCSR(t, named, key)
}

func rsa1024CSR(t *testing.T) []byte {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 1024)
	must(err)
	return encodeCSR(t, named, key)
}

// unknownKeyCSR replaces the algorithm of the key, id-ecPublicKey, by an OID that is not
// assigned.
func unknownKeyCSR(t *testing.T, csr []byte) []byte {
	t.Helper()
	known, err := asn1.Marshal(asn1.ObjectIdentifier{1, 2, 840, 10045, 2, 1})
	must(err)
	unknown, err := asn1.Marshal(asn1.ObjectIdentifier{1, 2, 840, 10045, 2, 99})
	must(err)
	block, _ := pem.Decode(csr)
	block.Bytes = bytes.Replace(block.Bytes, known, unknown, 1)
	return pem.EncodeToMemory(block)
}
