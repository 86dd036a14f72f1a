// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package signer_test

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"testing"

	"github.com/cert-manager/cert-manager/pkg/util/pki"

	"github.com/cert-manager/selfsigned-issuer/signer"
)

// emptySubjects are encodings of an empty subject.
var emptySubjects = map[string][]byte{
	"no RDN":            {0x30, 0},
	"RDN of nothing":    {0x30, 2, 0x31, 0},
	"empty common name": {0x30, 0x0b, 0x31, 9, 0x30, 7, 6, 3, 0x55, 4, 3, 0x0c, 0},
}

func TestEmptySubject(t *testing.T) {
	for name, subject := range emptySubjects {
		request := leafRequest(encodeCSR(t, &x509.CertificateRequest{RawSubject: subject, DNSNames: named.DNSNames}, p256()))
		candidate := parse(t, request)
		for _, policy := range []signer.EmptySubject{"", signer.EmptySubjectWarn} {
			certificate, result := selfSign(t, request, p256(), signer.Options{EmptySubject: policy})
			if !result.EmptySubject || !bytes.Equal(certificate.RawSubject, subject) || !bytes.Equal(certificate.RawIssuer, subject) {
				t.Errorf("%s, policy %q: subject %x, issuer %x, EmptySubject %v; want it as requested, and reported",
					name, policy, certificate.RawSubject, certificate.RawIssuer, result.EmptySubject)
			}
		}
		_, err := signer.SelfSign(candidate, p256(), signer.Options{EmptySubject: signer.EmptySubjectReject}, now)
		wantError(t, err, signer.ReasonEmptySubject, "spec.emptySubject")
	}
}

func TestFillSubject(t *testing.T) {
	for name, subject := range emptySubjects {
		for _, identifier := range []signer.KeyIdentifier{signer.KeyIdentifierSHA256, signer.KeyIdentifierSHA1} {
			request := leafRequest(encodeCSR(t, &x509.CertificateRequest{RawSubject: subject, DNSNames: named.DNSNames}, p256()))
			certificate, result := selfSign(t, request, p256(), signer.Options{
				EmptySubject: signer.EmptySubjectFill, SubjectKeyIdentifier: identifier,
			})
			want := "SERIALNUMBER=" + hex.EncodeToString(certificate.SubjectKeyId)
			if got := certificate.Subject.String(); got != want || len(certificate.Subject.Names) != 1 {
				t.Errorf("%s: got subject %q, want only %q", name, got, want)
			}
			if !bytes.Equal(certificate.RawSubject, certificate.RawIssuer) || result.EmptySubject {
				t.Errorf("%s: issuer %q, EmptySubject %v; want the subject, and no warning", name, certificate.Issuer, result.EmptySubject)
			}
			if san := extension(certificate, oidSubjectAltName); san == nil || san.Critical {
				t.Errorf("%s: SAN %v, want one that is not critical", name, san)
			}
		}
	}
}

// TestSubjectIsKept: no policy changes a subject that is not empty, and its bytes are
// those of the request.
func TestSubjectIsKept(t *testing.T) {
	for name, subject := range map[string][]byte{
		"reversed, multi-valued, UTF-8": literalSubject(t, "CN=höst,UID=7+OU=b,DC=example,DC=org"),
		"unknown attribute":             literalSubject(t, "1.3.6.1.4.1.55738.1=value"),
		"empty and not":                 {0x30, 0x19, 0x31, 9, 0x30, 7, 6, 3, 0x55, 4, 10, 0x0c, 0, 0x31, 0x0c, 0x30, 0x0a, 6, 3, 0x55, 4, 3, 0x0c, 3, 'a', 'b', 'c'},
	} {
		for _, policy := range []signer.EmptySubject{"", signer.EmptySubjectWarn, signer.EmptySubjectReject, signer.EmptySubjectFill} {
			t.Run(name+"/"+string(policy), func(t *testing.T) {
				request := leafRequest(encodeCSR(t, &x509.CertificateRequest{RawSubject: subject, DNSNames: named.DNSNames}, p256()))
				certificate, result := selfSign(t, request, p256(), signer.Options{EmptySubject: policy})
				if !bytes.Equal(certificate.RawSubject, subject) || !bytes.Equal(certificate.RawIssuer, subject) {
					t.Errorf("got subject %x and issuer %x, want %x", certificate.RawSubject, certificate.RawIssuer, subject)
				}
				if san := extension(certificate, oidSubjectAltName); san.Critical || result.EmptySubject {
					t.Errorf("SAN critical: %v, EmptySubject: %v; want neither", san.Critical, result.EmptySubject)
				}
			})
		}
	}
}

// TestSANCriticality: critical only if the subject is empty (RFC 5280 section 4.2.1.6),
// for any value in the request.
func TestSANCriticality(t *testing.T) {
	for _, critical := range []bool{true, false} {
		for _, subject := range []pkix.Name{{}, {CommonName: "a"}} {
			san, err := pki.MarshalSANs(pki.GeneralNames{DNSNames: []string{"a.example.com"}, RegisteredIDs: []asn1.ObjectIdentifier{{1, 2, 3}}}, true)
			if err != nil {
				t.Fatal(err)
			}
			value := bytes.Clone(san.Value)
			san.Critical = critical
			request := leafRequest(encodeCSR(t, &x509.CertificateRequest{Subject: subject, ExtraExtensions: []pkix.Extension{san}}, p256()))
			certificate, _ := selfSign(t, request, p256(), signer.Options{})
			got := extension(certificate, oidSubjectAltName)
			if want := subject.CommonName == ""; got.Critical != want {
				t.Errorf("subject %q, critical %v in the request: got critical %v, want %v", subject, critical, got.Critical, want)
			}
			if !bytes.Equal(got.Value, value) {
				t.Errorf("got SAN %x, want the bytes of the request %x", got.Value, value)
			}
		}
	}
}

func literalSubject(t *testing.T, literal string) []byte {
	t.Helper()
	name, err := pki.UnmarshalSubjectStringToRDNSequence(literal)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := pki.MarshalRDNSequenceToRawDERBytes(name)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
