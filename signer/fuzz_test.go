// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package signer_test

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"testing"
	"time"

	"github.com/cert-manager/cert-manager/pkg/util/pki"

	"github.com/cert-manager/selfsigned-issuer/signer"
)

// patience is much longer than any input may take, also on a busy machine.
const patience = 10 * time.Second

// FuzzParsePrivateKey finds panics, input that takes long, and keys that are accepted
// but cannot be used.
func FuzzParsePrivateKey(f *testing.F) {
	for _, key := range everyKey {
		encoded, err := x509.MarshalPKCS8PrivateKey(key())
		must(err)
		f.Add(encodePEM("PRIVATE KEY", encoded))
	}
	f.Add(rsaOfAnySize(8192))
	f.Add(encodePEM("EC PRIVATE KEY", []byte{0x30, 0}))
	f.Add(encodePEM("ENCRYPTED PRIVATE KEY", []byte{0x30, 0}))
	f.Add(bytes.Repeat([]byte("-----BEGIN "), 1000))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		defer within(t, patience)()
		key, err := signer.ParsePrivateKey(data, signer.Limits{})
		if err != nil {
			wantError(t, err, signer.ReasonUnusableKey)
			return
		}
		if _, err := x509.MarshalPKIXPublicKey(key.Public()); err != nil {
			t.Errorf("accepted a key without a usable public key: %v", err)
		}
	})
}

// FuzzParse parses CSRs in DER, because FuzzParsePrivateKey covers PEM. It finds panics
// and input that takes long. Few mutations have a valid signature; see FuzzSelfSign.
func FuzzParse(f *testing.F) {
	for _, key := range everyKey {
		block, _ := pem.Decode(encodeCSR(f, named, key()))
		f.Add(block.Bytes, false)
		f.Add(block.Bytes, true)
	}
	f.Add([]byte{}, false)
	f.Fuzz(func(t *testing.T, der []byte, isCA bool) {
		defer within(t, patience)()
		request := leafRequest(encodePEM("CERTIFICATE REQUEST", der))
		request.IsCA = isCA
		if _, err := signer.Parse(request, signer.Limits{}); err != nil {
			wantError(t, err, signer.ReasonMalformedRequest)
		}
	})
}

// FuzzSelfSign signs CSRs with any bytes as subject and as value of each extension that
// is copied to certificates. It finds panics and certificates that do not verify.
func FuzzSelfSign(f *testing.F) {
	for _, subject := range emptySubjects {
		f.Add(subject, []byte{0x30, 3, 0x82, 1, 'a'}, byte(0), false)
	}
	f.Add([]byte{0x30, 0x0c, 0x31, 0x0a, 0x30, 8, 6, 3, 0x55, 4, 3, 0x0c, 1, 'a'}, []byte{0x30, 6, 1, 1, 0xff, 2, 1, 0}, byte(1), true)
	f.Add([]byte{0x30, 0}, []byte{3, 2, 5, 0xa0}, byte(2), false)
	f.Add([]byte{0x30, 0}, []byte{0x30, 10, 6, 8, 0x2b, 6, 1, 5, 5, 7, 3, 1}, byte(3), false)
	f.Add([]byte{0x30, 0}, []byte{0x30, 7, 0xa0, 5, 0x30, 3, 0x82, 1, 'a'}, byte(4), true)
	f.Fuzz(func(t *testing.T, subject, value []byte, which byte, isCA bool) {
		defer within(t, patience)()
		oids := []asn1.ObjectIdentifier{oidSubjectAltName, oidBasicConstraints, pki.OIDExtensionKeyUsage, pki.OIDExtensionExtendedKeyUsage, pki.OIDExtensionNameConstraints}
		csr := &x509.CertificateRequest{RawSubject: subject, ExtraExtensions: []pkix.Extension{{Id: oids[int(which)%len(oids)], Value: value}}}
		der, err := x509.CreateCertificateRequest(rand.Reader, csr, ed())
		if err != nil {
			return // nothing that anybody could send
		}
		request := leafRequest(encodePEM("CERTIFICATE REQUEST", der))
		request.IsCA = isCA
		candidate, err := signer.Parse(request, signer.Limits{})
		if err != nil {
			wantError(t, err, signer.ReasonMalformedRequest)
			return
		}
		result, err := signer.SelfSign(candidate, ed(), signer.Options{EmptySubject: signer.EmptySubjectFill}, now)
		if err != nil {
			wantError(t, err, signer.ReasonSigning)
			return
		}
		certificate := decodeCertificate(t, result.PEM)
		if err := certificate.CheckSignature(certificate.SignatureAlgorithm, certificate.RawTBSCertificate, certificate.Signature); err != nil {
			t.Errorf("the signature does not verify: %v", err)
		}
	})
}

// within fails the test if the returned function is called too late.
func within(t *testing.T, limit time.Duration) func() {
	started := time.Now()
	return func() {
		if spent := time.Since(started); spent > limit {
			t.Errorf("took %s", spent)
		}
	}
}
