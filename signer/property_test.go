// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package signer_test

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"net"
	"slices"
	"testing"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	"github.com/cert-manager/cert-manager/pkg/util/pki"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/cert-manager/selfsigned-issuer/signer"
)

// TestProperties checks the properties of all certificates with random requests. Rapid
// prints how to reproduce a failure.
func TestProperties(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		key := drawKey(r)
		request := drawRequest(r, key)
		options := drawOptions(r, algorithmOf(key))
		candidate := parse(r, request)
		first, err := signer.SelfSign(candidate, key, options, now)
		if err != nil {
			r.Fatalf("SelfSign: %v", err)
		}
		certificate := decodeCertificate(r, first.PEM)
		checkTakenOver(r, request, options, certificate)
		checkVerifies(r, certificate)

		second, err := signer.SelfSign(candidate, key, options, now.Add(time.Minute))
		if err != nil {
			r.Fatalf("SelfSign again: %v", err)
		}
		checkDiffersOnlyInSerialAndTimes(r, certificate, decodeCertificate(r, second.PEM))
	})
}

// TestPropertySignsAsInTree compares random requests, and TestSignsAsInTree those that
// cert-manager creates.
func TestPropertySignsAsInTree(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		key := drawKey(r)
		request := drawRequest(r, key)
		compareWithInTree(r, &cmapi.CertificateRequest{Spec: cmapi.CertificateRequestSpec{
			Request: request.CSR, Duration: &metav1.Duration{Duration: request.Duration},
			IsCA: request.IsCA, Usages: usagesOf(request),
		}}, key)
	})
}

func checkTakenOver(r *rapid.T, request signer.Request, options signer.Options, certificate *x509.Certificate) {
	csr, err := pki.DecodeX509CertificateRequestBytes(request.CSR)
	if err != nil {
		r.Fatal(err)
	}
	if !bytes.Equal(certificate.RawSubjectPublicKeyInfo, csr.RawSubjectPublicKeyInfo) {
		r.Errorf("public key %x, requested %x", certificate.RawSubjectPublicKeyInfo, csr.RawSubjectPublicKeyInfo)
	}
	filled := options.EmptySubject == signer.EmptySubjectFill && pki.IsASN1SubjectEmpty(csr.RawSubject)
	if !filled && !bytes.Equal(certificate.RawSubject, csr.RawSubject) {
		r.Errorf("subject %x, requested %x", certificate.RawSubject, csr.RawSubject)
	}
	if filled && certificate.Subject.SerialNumber != fmt.Sprintf("%x", certificate.SubjectKeyId) {
		r.Errorf("filled subject %s", certificate.Subject)
	}
	var requested, got []byte
	for _, e := range csr.Extensions {
		if e.Id.Equal(oidSubjectAltName) {
			requested = e.Value
		}
	}
	if san := extension(certificate, oidSubjectAltName); san != nil {
		got = san.Value
		if want := pki.IsASN1SubjectEmpty(certificate.RawSubject); san.Critical != want {
			r.Errorf("SAN critical: %v, want %v", san.Critical, want)
		}
	}
	if !bytes.Equal(got, requested) {
		r.Errorf("SAN %x, requested %x", got, requested)
	}
	if certificate.IsCA != request.IsCA || certificate.KeyUsage != request.KeyUsage {
		r.Errorf("CA %v, usages %b; requested %v, %b", certificate.IsCA, certificate.KeyUsage, request.IsCA, request.KeyUsage)
	}
}

func checkVerifies(r *rapid.T, certificate *x509.Certificate) {
	if !bytes.Equal(certificate.RawIssuer, certificate.RawSubject) {
		r.Errorf("issuer %x, subject %x", certificate.RawIssuer, certificate.RawSubject)
	}
	if err := certificate.CheckSignature(certificate.SignatureAlgorithm, certificate.RawTBSCertificate, certificate.Signature); err != nil {
		r.Errorf("the signature does not verify: %v", err)
	}
	// Without a subject the SAN is critical, and Go, unlike OpenSSL, rejects a critical
	// SAN that has only otherNames.
	certificate.UnhandledCriticalExtensions = slices.DeleteFunc(certificate.UnhandledCriticalExtensions, oidSubjectAltName.Equal)
	if err := verify(certificate, certificate); err != nil {
		r.Errorf("does not verify with itself as root: %v", err)
	}
}

func checkDiffersOnlyInSerialAndTimes(r *rapid.T, first, second *x509.Certificate) {
	one, two := tbsFields(r, first), tbsFields(r, second)
	for field := range merged(one, two) {
		switch field {
		case "serialNumber", "validity.notBefore", "validity.notAfter":
			if one[field] == two[field] {
				r.Errorf("%s is %s both times", field, one[field])
			}
		default:
			if one[field] != two[field] {
				r.Errorf("%s is %s, then %s", field, one[field], two[field])
			}
		}
	}
}

// drawKey draws no large RSA keys, which would be slow.
func drawKey(r *rapid.T) crypto.Signer {
	return rapid.SampledFrom([]func() crypto.Signer{p256, p384, p521, ed, rsa2048}).Draw(r, "key")()
}

func drawOptions(r *rapid.T, key x509.PublicKeyAlgorithm) signer.Options {
	names := []signer.SignatureAlgorithm{"", signer.SignatureAlgorithmFromRequest}
	for name := range algorithms[key] {
		names = append(names, name)
	}
	return signer.Options{
		CRLDistributionPoints: rapid.SliceOfN(rapid.StringMatching(`http://crl\.example\.com/[a-z]{1,9}`), 0, 3).Draw(r, "CRL distribution points"),
		EmptySubject:          rapid.SampledFrom([]signer.EmptySubject{"", signer.EmptySubjectFill}).Draw(r, "empty subject"),
		SignatureAlgorithm:    rapid.SampledFrom(names).Draw(r, "signature algorithm"),
		MaxPathLength:         rapid.Ptr(rapid.IntRange(0, 5), true).Draw(r, "max path length"),
		Backdate:              time.Duration(rapid.IntRange(0, 24*60).Draw(r, "backdate")) * time.Minute,
		SubjectKeyIdentifier:  rapid.SampledFrom([]signer.KeyIdentifier{"", signer.KeyIdentifierSHA1}).Draw(r, "key identifier"),
	}
}

func drawRequest(r *rapid.T, key crypto.Signer) signer.Request {
	request := signer.Request{
		Duration:    time.Duration(rapid.IntRange(1, 100*365*24*60).Draw(r, "duration")) * time.Minute,
		IsCA:        rapid.Bool().Draw(r, "CA"),
		KeyUsage:    x509.KeyUsage(rapid.IntRange(1, 1<<9-1).Draw(r, "key usage")),
		ExtKeyUsage: rapid.SliceOfNDistinct(rapid.SampledFrom(extendedUsages), 0, 4, rapid.ID).Draw(r, "extended key usage"),
	}
	if request.IsCA { // as cert-manager does
		request.KeyUsage |= x509.KeyUsageCertSign
	}
	csr := &x509.CertificateRequest{RawSubject: drawSubject(r), ExtraExtensions: drawExtensions(r, request)}
	request.CSR = encodeCSR(r, csr, key)
	return request
}

// extendedUsages are the extended key usages of the API.
var extendedUsages = []x509.ExtKeyUsage{
	x509.ExtKeyUsageAny, x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageCodeSigning,
	x509.ExtKeyUsageEmailProtection, x509.ExtKeyUsageTimeStamping, x509.ExtKeyUsageOCSPSigning,
}

// drawSubject draws a name of up to four RDNs with up to two attributes, of known and
// unknown types.
func drawSubject(r *rapid.T) []byte {
	oids := []asn1.ObjectIdentifier{{2, 5, 4, 3}, {2, 5, 4, 5}, {2, 5, 4, 10}, {2, 5, 4, 11}, {0, 9, 2342, 19200300, 100, 1, 1}, {1, 3, 6, 1, 4, 1, 55738, 7}}
	name := make(pkix.RDNSequence, rapid.IntRange(0, 4).Draw(r, "RDNs"))
	for i := range name {
		for range rapid.IntRange(1, 2).Draw(r, "attributes") {
			name[i] = append(name[i], pkix.AttributeTypeAndValue{
				Type:  rapid.SampledFrom(oids).Draw(r, "attribute type"),
				Value: rapid.StringN(1, 32, 64).Draw(r, "attribute value"),
			})
		}
	}
	raw, err := pki.MarshalRDNSequenceToRawDERBytes(name)
	must(err)
	return raw
}

// drawExtensions draws the extensions of a CSR: names, usages and basic constraints
// that match the request, and an unknown one.
func drawExtensions(r *rapid.T, request signer.Request) []pkix.Extension {
	var all []pkix.Extension
	add := func(extension pkix.Extension, err error) {
		must(err)
		all = append(all, extension)
	}
	if names := drawNames(r); !names.Empty() {
		add(pki.MarshalSANs(names, rapid.Bool().Draw(r, "SAN not critical")))
	}
	if rapid.Bool().Draw(r, "usages in CSR") {
		add(pki.MarshalKeyUsage(request.KeyUsage))
		if len(request.ExtKeyUsage) > 0 {
			add(pki.MarshalExtKeyUsage(request.ExtKeyUsage, nil))
		}
	}
	if rapid.Bool().Draw(r, "basic constraints in CSR") {
		var length *int
		if request.IsCA {
			length = rapid.Ptr(rapid.IntRange(0, 5), true).Draw(r, "path length in CSR")
		}
		add(pki.MarshalBasicConstraints(request.IsCA, length))
	}
	if rapid.Bool().Draw(r, "private extension") {
		add(pkix.Extension{Id: []int{1, 3, 6, 1, 4, 1, 55738, 99}, Value: []byte{5, 0}}, nil)
	}
	return all
}

func drawNames(r *rapid.T) pki.GeneralNames {
	few := func(pattern, label string) []string {
		return rapid.SliceOfN(rapid.StringMatching(pattern), 0, 3).Draw(r, label)
	}
	names := pki.GeneralNames{
		DNSNames:                   few(`(\*\.)?[a-z][a-z0-9]{0,8}\.example\.com`, "DNS names"),
		RFC822Names:                few(`[a-z]{1,9}@example\.com`, "e-mail addresses"),
		UniformResourceIdentifiers: few(`spiffe://example\.com/[a-z]{1,9}`, "URIs"),
	}
	for range rapid.IntRange(0, 2).Draw(r, "IP addresses") {
		size := rapid.SampledFrom([]int{net.IPv4len, net.IPv6len}).Draw(r, "IP version")
		names.IPAddresses = append(names.IPAddresses, rapid.SliceOfN(rapid.Byte(), size, size).Draw(r, "IP address"))
	}
	for _, value := range few(`[a-zé]{1,9}`, "other names") {
		encoded, err := pki.MarshalUniversalValue(pki.UniversalValue{UTF8String: value})
		must(err)
		names.OtherNames = append(names.OtherNames, pki.OtherName{
			TypeID: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 20, 2, 3},
			Value:  asn1.RawValue{Class: asn1.ClassContextSpecific, IsCompound: true, Bytes: encoded},
		})
	}
	return names
}

// usagesOf converts bits to the names in a CertificateRequest.
func usagesOf(request signer.Request) []cmapi.KeyUsage {
	var usages []cmapi.KeyUsage
	for bit, usage := range keyUsageNames {
		if request.KeyUsage&bit != 0 {
			usages = append(usages, usage)
		}
	}
	for _, usage := range request.ExtKeyUsage {
		usages = append(usages, extendedUsageNames[usage])
	}
	return usages
}

var keyUsageNames = map[x509.KeyUsage]cmapi.KeyUsage{
	x509.KeyUsageDigitalSignature:  cmapi.UsageDigitalSignature,
	x509.KeyUsageContentCommitment: cmapi.UsageContentCommitment,
	x509.KeyUsageKeyEncipherment:   cmapi.UsageKeyEncipherment,
	x509.KeyUsageDataEncipherment:  cmapi.UsageDataEncipherment,
	x509.KeyUsageKeyAgreement:      cmapi.UsageKeyAgreement,
	x509.KeyUsageCertSign:          cmapi.UsageCertSign,
	x509.KeyUsageCRLSign:           cmapi.UsageCRLSign,
	x509.KeyUsageEncipherOnly:      cmapi.UsageEncipherOnly,
	x509.KeyUsageDecipherOnly:      cmapi.UsageDecipherOnly,
}

var extendedUsageNames = map[x509.ExtKeyUsage]cmapi.KeyUsage{
	x509.ExtKeyUsageAny:             cmapi.UsageAny,
	x509.ExtKeyUsageServerAuth:      cmapi.UsageServerAuth,
	x509.ExtKeyUsageClientAuth:      cmapi.UsageClientAuth,
	x509.ExtKeyUsageCodeSigning:     cmapi.UsageCodeSigning,
	x509.ExtKeyUsageEmailProtection: cmapi.UsageEmailProtection,
	x509.ExtKeyUsageTimeStamping:    cmapi.UsageTimestamping,
	x509.ExtKeyUsageOCSPSigning:     cmapi.UsageOCSPSigning,
}
