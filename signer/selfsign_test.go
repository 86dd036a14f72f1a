// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package signer_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cert-manager/cert-manager/pkg/util/pki"

	"github.com/cert-manager/selfsigned-issuer/signer"
)

// named is a CSR with a subject.
var named = &x509.CertificateRequest{Subject: pkix.Name{CommonName: "example"}, DNSNames: []string{"a.example.com"}}

func TestSelfSignRefusesAnotherKey(t *testing.T) {
	candidate := parse(t, leafRequest(encodeCSR(t, named, p256())))
	if candidate.HasKey(ed().Public()) || candidate.HasKey(p384().Public()) || candidate.HasKey("no key") {
		t.Error("HasKey is true for a key that is not the request's")
	}
	if !candidate.HasKey(p256().Public()) {
		t.Error("HasKey is false for the request's key")
	}
	_, err := signer.SelfSign(candidate, p384(), signer.Options{}, now)
	wantError(t, err, signer.ReasonKeyMismatch)
}

// TestSelfSignRefusesWhatNobodyCanRead: Go parses the names of a request less strictly
// than those of a certificate. The subject is a UniversalString, which is not empty: no
// policy for empty subjects may replace it.
func TestSelfSignRefusesWhatNobodyCanRead(t *testing.T) {
	subject := []byte{0x30, 0x0f, 0x31, 0x0d, 0x30, 0x0b, 6, 3, 0x55, 4, 3, 0x1c, 4, 0, 0, 0, 'a'}
	candidate := parse(t, leafRequest(encodeCSR(t, &x509.CertificateRequest{RawSubject: subject}, p256())))
	for _, policy := range []signer.EmptySubject{"", signer.EmptySubjectReject, signer.EmptySubjectFill} {
		_, err := signer.SelfSign(candidate, p256(), signer.Options{EmptySubject: policy}, now)
		wantError(t, err, signer.ReasonSigning)
	}
}

func TestSerialNumbers(t *testing.T) {
	candidate := parse(t, leafRequest(encodeCSR(t, named, ed())))
	const samples = 256
	seen := map[string]bool{}
	everySet := new(big.Int)
	for range samples {
		result, err := signer.SelfSign(candidate, ed(), signer.Options{}, now)
		if err != nil {
			t.Fatal(err)
		}
		serial := decodeCertificate(t, result.PEM).SerialNumber
		if octets := len(serial.Bytes()); serial.Sign() != 1 || octets > 20 || serial.BitLen() > 159 {
			t.Errorf("serial number %v: want a positive one of at most 20 octets, encoded", serial)
		}
		seen[serial.String()] = true
		everySet.Or(everySet, serial)
	}
	if len(seen) != samples {
		t.Errorf("%d serial numbers for %d certificates", len(seen), samples)
	}
	// Each bit is unset in all samples with a chance of 2^-256.
	if want := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 159), big.NewInt(1)); everySet.Cmp(want) != 0 {
		t.Errorf("bits that are ever set: %x, want 159 random ones", everySet)
	}
}

func TestTimeEncoding(t *testing.T) {
	const (
		utcTime         = asn1.TagUTCTime
		generalizedTime = asn1.TagGeneralizedTime
	)
	zone := time.FixedZone("east", 2*60*60)
	for name, test := range map[string]struct {
		now              time.Time
		before, after    int
		wantNot, wantEnd string
	}{
		"to 2049":   {time.Date(2049, 12, 30, 23, 59, 59, 999, time.UTC), utcTime, utcTime, "491230235959Z", "491231235959Z"},
		"from 2050": {time.Date(2049, 12, 31, 0, 0, 0, 0, time.UTC), utcTime, generalizedTime, "491231000000Z", "20500101000000Z"},
		"zone":      {time.Date(2050, 1, 1, 1, 0, 0, 0, zone), utcTime, generalizedTime, "491231230000Z", "20500101230000Z"},
		"later":     {time.Date(2050, 1, 1, 0, 0, 0, 0, time.UTC), generalizedTime, generalizedTime, "20500101000000Z", "20500102000000Z"},
	} {
		t.Run(name, func(t *testing.T) {
			request := leafRequest(encodeCSR(t, named, ed()))
			request.Duration = 24 * time.Hour
			result, err := signer.SelfSign(parse(t, request), ed(), signer.Options{}, test.now)
			if err != nil {
				t.Fatal(err)
			}
			var decoded tbs
			if _, err := asn1.Unmarshal(decodeCertificate(t, result.PEM).RawTBSCertificate, &decoded); err != nil {
				t.Fatal(err)
			}
			before, after := decoded.Validity.NotBefore, decoded.Validity.NotAfter
			if before.Tag != test.before || string(before.Bytes) != test.wantNot {
				t.Errorf("notBefore is tag %d %s, want tag %d %s", before.Tag, before.Bytes, test.before, test.wantNot)
			}
			if after.Tag != test.after || string(after.Bytes) != test.wantEnd {
				t.Errorf("notAfter is tag %d %s, want tag %d %s", after.Tag, after.Bytes, test.after, test.wantEnd)
			}
		})
	}
}

// TestDroppedExtensions: certificates have the same extensions of the CSR as with
// cert-manager, and no others.
func TestDroppedExtensions(t *testing.T) {
	dropped := map[string]asn1.ObjectIdentifier{
		"certificate policies":         {2, 5, 29, 32},
		"TLS feature":                  {1, 3, 6, 1, 5, 5, 7, 1, 24},
		"authority information access": {1, 3, 6, 1, 5, 5, 7, 1, 1},
		"CRL distribution points":      oidCRLDistributionPoints,
		"subject key identifier":       oidSubjectKeyIdentifier,
		"authority key identifier":     oidAuthorityKeyIdentifier,
		"private extensions":           {1, 3, 6, 1, 4, 1, 55738, 99},
	}
	csr := *named
	for _, oid := range dropped {
		csr.ExtraExtensions = append(csr.ExtraExtensions, pkix.Extension{Id: oid, Value: []byte{4, 2, 1, 2}})
	}
	certificate, _ := selfSign(t, leafRequest(encodeCSR(t, &csr, ed())), ed(), signer.Options{})
	for name, oid := range dropped {
		if e := extension(certificate, oid); e != nil && string(e.Value) == "\x04\x02\x01\x02" {
			t.Errorf("the certificate has the request's own extension %s", name)
		}
	}
	page, err := os.ReadFile("../docs/certificates.md")
	if err != nil {
		t.Fatal(err)
	}
	for name := range dropped {
		if !strings.Contains(strings.ReplaceAll(string(page), "\n", " "), name) {
			t.Errorf("docs/certificates.md does not say that %q is dropped", name)
		}
	}
	if got := len(certificate.Extensions); got != 5 {
		t.Errorf("got %d extensions %v, want SAN, key usage, basic constraints, SKI and AKI", got, certificate.Extensions)
	}
}

// TestDistributionPoints decodes the extension, because crypto/x509 flattens the list.
func TestDistributionPoints(t *testing.T) {
	want := []string{"http://crl.example.com/b.crl", "ldap:///CN=a", "http://crl.example.com/a.crl"}
	certificate, _ := selfSign(t, caRequest(encodeCSR(t, named, p256())), p256(), signer.Options{CRLDistributionPoints: want})

	// DistributionPoint of RFC 5280 section 4.2.1.13, as far as it is used.
	var points []struct {
		Name struct {
			FullName []asn1.RawValue `asn1:"optional,tag:0"`
		} `asn1:"optional,tag:0"`
	}
	found := extension(certificate, oidCRLDistributionPoints)
	if found == nil || found.Critical {
		t.Fatalf("CRL distribution points: got %v, want a non-critical extension", found)
	}
	if rest, err := asn1.Unmarshal(found.Value, &points); err != nil || len(rest) != 0 {
		t.Fatalf("decode: %v, %d bytes left over", err, len(rest))
	}
	var got []string
	for _, point := range points {
		if len(point.Name.FullName) != 1 {
			t.Fatalf("a distribution point has %d names, want one", len(point.Name.FullName))
		}
		got = append(got, string(point.Name.FullName[0].Bytes))
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestPathLength(t *testing.T) {
	const none = -1
	for _, test := range []struct {
		issuer *int
		csr    *int
		want   int
		note   bool
	}{
		{nil, nil, none, false},
		{nil, new(2), none, true},
		{new(0), nil, 0, false},
		{new(3), nil, 3, false},
		{new(3), new(1), 1, false},
		{new(3), new(0), 0, false},
		{new(1), new(3), 1, false},
		{new(0), new(3), 0, false},
	} {
		t.Run(fmt.Sprintf("issuer %s, request %s", show(test.issuer), show(test.csr)), func(t *testing.T) {
			request := caRequest(csrWithPathLength(t, true, test.csr))
			certificate, result := selfSign(t, request, p256(), signer.Options{MaxPathLength: test.issuer})
			if certificate.MaxPathLen != test.want || certificate.MaxPathLenZero != (test.want == 0) {
				t.Errorf("got %d (zero: %v), want %d", certificate.MaxPathLen, certificate.MaxPathLenZero, test.want)
			}
			if test.note {
				wantNote(t, result, "2")
			} else {
				wantNote(t, result)
			}
		})
	}
}

func TestPathLengthWhereItIsNotAllowed(t *testing.T) {
	t.Run("leaf", func(t *testing.T) {
		certificate, result := selfSign(t, leafRequest(encodeCSR(t, named, p256())), p256(), signer.Options{MaxPathLength: new(0)})
		if certificate.IsCA || certificate.MaxPathLen != -1 {
			t.Errorf("CA %v, path length %d; want a leaf without", certificate.IsCA, certificate.MaxPathLen)
		}
		wantNote(t, result)
	})
	t.Run("CA that may not sign certificates", func(t *testing.T) {
		request := caRequest(encodeCSR(t, named, p256()))
		request.KeyUsage = x509.KeyUsageCRLSign
		certificate, result := selfSign(t, request, p256(), signer.Options{MaxPathLength: new(0)})
		if certificate.MaxPathLen != -1 {
			t.Errorf("path length %d, want none", certificate.MaxPathLen)
		}
		wantNote(t, result, "spec.maxPathLength", "cert sign")
	})
}

func TestBackdate(t *testing.T) {
	for _, test := range []struct{ duration, backdate, want time.Duration }{
		{time.Hour, 0, 0},
		{time.Hour, 18 * time.Second, 18 * time.Second},
		{time.Hour, 19 * time.Second, 18 * time.Second},
		{time.Hour, 24 * time.Hour, 18 * time.Second},
		{24 * time.Hour, 5 * time.Minute, 5 * time.Minute},
		{24 * time.Hour, 24 * time.Hour, 7*time.Minute + 12*time.Second},
		{90 * 24 * time.Hour, 24 * time.Hour, 10*time.Hour + 48*time.Minute},
		{200 * 24 * time.Hour, 24 * time.Hour, 24 * time.Hour},
		{399 * time.Second, time.Minute, time.Second},
		{199 * time.Second, time.Minute, 0},
	} {
		t.Run(fmt.Sprintf("%s of %s", test.backdate, test.duration), func(t *testing.T) {
			request := leafRequest(encodeCSR(t, named, p256()))
			request.Duration = test.duration
			certificate, result := selfSign(t, request, p256(), signer.Options{Backdate: test.backdate})
			if got := now.Sub(certificate.NotBefore); got != test.want {
				t.Errorf("notBefore precedes now by %s, want %s", got, test.want)
			}
			if got := certificate.NotAfter.Sub(now); got != test.duration {
				t.Errorf("notAfter is %s after now, want %s", got, test.duration)
			}
			if test.want != test.backdate {
				wantNote(t, result, "spec.backdate", test.want.String(), test.backdate.String(), test.duration.String())
			} else {
				wantNote(t, result)
			}
		})
	}
}

func TestSigningTwice(t *testing.T) {
	candidate := parse(t, caRequest(encodeCSR(t, named, p256())))
	options := signer.Options{EmptySubject: signer.EmptySubjectFill, MaxPathLength: new(0), CRLDistributionPoints: []string{"http://a"}}
	first, err := signer.SelfSign(candidate, p256(), options, now)
	if err != nil {
		t.Fatal(err)
	}
	second, err := signer.SelfSign(candidate, p256(), signer.Options{}, now)
	if err != nil {
		t.Fatal(err)
	}
	if got := decodeCertificate(t, first.PEM); got.MaxPathLen != 0 || len(got.CRLDistributionPoints) != 1 {
		t.Error("the first certificate lacks the options it was signed with")
	}
	if got := decodeCertificate(t, second.PEM); got.MaxPathLen != -1 || len(got.CRLDistributionPoints) != 0 {
		t.Error("the options of the first certificate are in the second one")
	}
}

func csrWithPathLength(t *testing.T, isCA bool, length *int) []byte {
	t.Helper()
	constraints, err := pki.MarshalBasicConstraints(isCA, length)
	if err != nil {
		t.Fatal(err)
	}
	csr := *named
	csr.ExtraExtensions = []pkix.Extension{constraints}
	return encodeCSR(t, &csr, p256())
}

// wantNote wants one warning that contains these values, or no warning without values.
func wantNote(t *testing.T, result signer.Result, values ...string) {
	t.Helper()
	if len(values) == 0 && len(result.Warnings) == 0 {
		return
	}
	if len(values) == 0 || len(result.Warnings) != 1 {
		t.Errorf("got notes %q, want one: %t", result.Warnings, len(values) > 0)
		return
	}
	for _, value := range values {
		if !strings.Contains(result.Warnings[0], value) {
			t.Errorf("got note %q, want it to mention %s", result.Warnings[0], value)
		}
	}
}

func show(number *int) string {
	if number == nil {
		return "none"
	}
	return fmt.Sprint(*number)
}
