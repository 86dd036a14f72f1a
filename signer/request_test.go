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

func TestParseRefuses(t *testing.T) {
	good := encodeCSR(t, named, p256())
	for name, test := range map[string]struct {
		request signer.Request
		want    []string
	}{
		"no CSR":                    {leafRequest(nil), []string{"spec.request is not a PEM-encoded certificate request", "no PEM data"}},
		"certificate":               {leafRequest(encodePEM("CERTIFICATE", []byte{0x30, 0})), []string{"spec.request is not a PEM-encoded certificate request"}},
		"cut off":                   {leafRequest(good[:len(good)/2]), []string{"spec.request is not a PEM-encoded certificate request"}},
		"huge":                      {leafRequest(bytes.Repeat([]byte("A"), 1<<20)), []string{"spec.request is 1048576 bytes long, and the limit is 36500: ask for fewer names, or raise --max-certificate-size of selfsigned-issuer"}},
		"wrong signature":           {leafRequest(forged(t, good)), []string{"the signature of spec.request does not verify"}},
		"no duration":               {signer.Request{CSR: good}, []string{"duration is 0s: ask for at least 1s"}},
		"past duration":             {signer.Request{CSR: good, Duration: -time.Hour}, []string{"duration is -1h0m0s: ask for at least 1s"}},
		"P-224":                     {leafRequest(p224CSR(t)), []string{"spec.request is for an ECDSA key on curve P-224"}},
		"RSA 1024":                  {leafRequest(rsa1024CSR(t)), []string{"spec.request is for an RSA key of 1024 bits: use 2048 to 8192 bits"}},
		"unknown key":               {leafRequest(unknownKeyCSR(t, good)), []string{"spec.request is for a kind of key that cannot sign certificates"}},
		"CA that asks for a leaf":   {leafRequest(csrWithPathLength(t, true, nil)), []string{"IsCA true does not match expected value false"}},
		"leaf that asks for a CA":   {caRequest(csrWithPathLength(t, false, nil)), []string{"IsCA false does not match expected value true"}},
		"other key usages":          {leafRequest(csrWith(t, keyUsage(t, x509.KeyUsageCRLSign))), []string{"KeyUsages", "do not match"}},
		"other extended usages":     {serverRequest(csrWith(t, keyUsage(t, x509.KeyUsageDigitalSignature|x509.KeyUsageKeyEncipherment))), []string{"ExtKeyUsages", "do not match"}},
		"unknown extended usage":    {serverRequest(csrWith(t, keyUsage(t, leafUsage), extKeyUsage(t, serverAuth, smartcardLogon))), []string{"spec.request asks for extended key usages that spec.usages does not name", "remove them from spec.request: 1.3.6.1.4.1.311.20.2.2"}},
		"usages repeated":           {signer.Request{CSR: good, Duration: time.Hour, ExtKeyUsage: slices.Repeat([]x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, 100_000)}, []string{"spec.usages has 100000 extended key usages, and the limit is 64: name each usage once"}},
		"only an unknown usage":     {leafRequest(csrWith(t, extKeyUsage(t, smartcardLogon))), []string{"spec.usages does not name", ": 1.3.6.1.4.1.311.20.2.2"}},
		"two unknown usages":        {serverRequest(csrWith(t, keyUsage(t, leafUsage), extKeyUsage(t, smartcardLogon, serverAuth, documentSigning))), []string{"spec.usages does not name", ": 1.3.6.1.4.1.311.20.2.2, 1.3.6.1.5.5.7.3.36"}},
		"unnamed extended usage":    {serverRequest(csrWith(t, keyUsage(t, leafUsage), extKeyUsage(t, serverAuth, clientAuth))), []string{"spec.usages does not name", "add them to spec.usages if it has names for them", ": 1.3.6.1.5.5.7.3.2"}},
		"extended usage by default": {leafRequest(csrWith(t, keyUsage(t, leafUsage), extKeyUsage(t, serverAuth))), []string{"spec.usages does not name", ": 1.3.6.1.5.5.7.3.1"}},
		"missing extended usage":    {serverRequest(csrWith(t, keyUsage(t, leafUsage), extKeyUsage(t))), []string{"ExtKeyUsages", "do not match"}},
		"damaged extended usage":    {leafRequest(csrWith(t, pkix.Extension{Id: pki.OIDExtensionExtendedKeyUsage, Value: []byte{0x30, 1}})), []string{"spec.request is inconsistent"}},
		"damaged key usages":        {leafRequest(csrWith(t, pkix.Extension{Id: pki.OIDExtensionKeyUsage, Value: []byte{1}})), []string{"spec.request is inconsistent"}},
		"damaged constraints":       {leafRequest(csrWith(t, pkix.Extension{Id: pki.OIDExtensionBasicConstraints, Value: []byte{0x30, 0x80}})), []string{"spec.request is inconsistent"}},
		"damaged name constraint":   {caRequest(csrWith(t, pkix.Extension{Id: pki.OIDExtensionNameConstraints, Value: []byte{0x30, 1}})), []string{"spec.request is inconsistent"}},
		"damaged SAN":               {leafRequest(csrWith(t, pkix.Extension{Id: oidSubjectAltName, Value: []byte{0x30, 2, 0x87, 0}})), []string{"spec.request is not a PEM-encoded certificate request"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := signer.Parse(test.request, signer.Limits{})
			wantError(t, err, signer.ReasonMalformedRequest, test.want...)
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

// What a leafRequest has as key usages, and OIDs of extended key usages: Go knows
// the first two.
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

// forged changes the last byte of a CSR, which is in its signature.
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

// unknownKeyCSR renames the algorithm of the key: id-ecPublicKey becomes an OID
// that nobody has assigned.
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
