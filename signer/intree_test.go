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
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	"github.com/cert-manager/cert-manager/pkg/util/pki"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/cert-manager/selfsigned-issuer/signer"
)

// intended has each field of a certificate that may differ from that of
// cert-manager's SelfSigned issuer for the same request, with the reason.
var intended = map[string]string{
	"serialNumber":           "random in both",
	"validity.notBefore":     "the time of signing in both; compared as the distance to notAfter",
	"validity.notAfter":      "the same",
	"subjectKeyIdentifier":   "leaves have one too, RFC 5280 section 4.2.1.2; that of a CA is equal",
	"authorityKeyIdentifier": "always there, RFC 5280 section 4.2.1.1",
}

// alike are Certificates for which cert-manager creates all kinds of requests.
var alike = map[string]cmapi.CertificateSpec{
	"leaf": {CommonName: "leaf", DNSNames: []string{"a.example.com", "*.b.example.com"}},
	"root": {CommonName: "root", IsCA: true},
	"full subject": {CommonName: "root", IsCA: true, Subject: &cmapi.X509Subject{
		Organizations: []string{"Example", "Zweite"}, Countries: []string{"CH", "DE"}, SerialNumber: "1", OrganizationalUnits: []string{"PKI"},
	}},
	"no subject":      {DNSNames: []string{"a.example.com"}},
	"literal subject": {LiteralSubject: "CN=höst,UID=7,OU=b+OU=a,DC=example,DC=org", IsCA: true},
	"every SAN": {
		CommonName: "sans", DNSNames: []string{"a.example.com"}, IPAddresses: []string{"192.0.2.1", "2001:db8::1"},
		URIs: []string{"spiffe://example.com/sa"}, EmailAddresses: []string{"root@example.com"},
		OtherNames: []cmapi.OtherName{{OID: "1.3.6.1.4.1.311.20.2.3", UTF8Value: "root@example.com"}},
	},
	"otherName without subject": {OtherNames: []cmapi.OtherName{{OID: "1.3.6.1.4.1.311.20.2.3", UTF8Value: "root@example.com"}}},
	"usages": {CommonName: "usages", Usages: []cmapi.KeyUsage{
		cmapi.UsageServerAuth, cmapi.UsageClientAuth, cmapi.UsageDigitalSignature, cmapi.UsageOCSPSigning, cmapi.UsageContentCommitment,
	}},
	"usages not encoded": {CommonName: "plain", EncodeUsagesInRequest: new(false), Usages: []cmapi.KeyUsage{cmapi.UsageAny}},
	"name constraints": {CommonName: "constrained", IsCA: true, NameConstraints: &cmapi.NameConstraints{
		Critical:  true,
		Permitted: &cmapi.NameConstraintItem{DNSDomains: []string{"example.com"}, IPRanges: []string{"192.0.2.0/24"}, EmailAddresses: []string{"example.com"}},
		Excluded:  &cmapi.NameConstraintItem{URIDomains: []string{".example.net"}, DNSDomains: []string{"x.example.com"}},
	}},
	"short": {CommonName: "short", Duration: &metav1.Duration{Duration: time.Hour}},
	"long":  {CommonName: "long", Duration: &metav1.Duration{Duration: 100 * 365 * 24 * time.Hour}},
}

// TestSignsAsInTree compares the certificates of an issuer without options with
// those of cert-manager's issuer, field by field.
func TestSignsAsInTree(t *testing.T) {
	for keyName, key := range everyKey {
		for name, spec := range alike {
			t.Run(keyName+"/"+name, func(t *testing.T) {
				request := requestFor(t, spec, key())
				compareWithInTree(t, request, key())
			})
		}
	}
}

// TestDifferencesAreDocumented compares the page for users with intended.
func TestDifferencesAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../docs/certificates.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "## Compared with the in-tree issuer")
	for field := range intended {
		if !strings.Contains(section, "`"+field+"`") {
			t.Errorf("docs/certificates.md does not list the difference in %s", field)
		}
	}
	if got := strings.Count(section, "`") / 2; got != len(intended) {
		t.Errorf("docs/certificates.md lists %d differences, the tests allow %d", got, len(intended))
	}
}

// TestRefusedUnlikeInTree has the only kind of request that the in-tree issuer signs and
// this package rejects. The page for users lists it.
func TestRefusedUnlikeInTree(t *testing.T) {
	csr := csrWith(t, keyUsage(t, leafUsage), extKeyUsage(t, serverAuth, smartcardLogon))
	request := &cmapi.CertificateRequest{Spec: cmapi.CertificateRequestSpec{
		Request: csr, Usages: []cmapi.KeyUsage{cmapi.UsageDigitalSignature, cmapi.UsageKeyEncipherment, cmapi.UsageServerAuth},
	}}
	if template, err := pki.CertificateTemplateFromCertificateRequest(request); err != nil || len(template.UnknownExtKeyUsage) != 1 {
		t.Fatalf("the in-tree issuer no longer signs the unnamed usage (%v): remove the difference", err)
	}
	_, err := signer.Parse(signerRequest(t, request), signer.Limits{})
	wantError(t, err, signer.ReasonMalformedRequest, smartcardLogon.String())

	page, err := os.ReadFile("../docs/certificates.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "## Compared with the in-tree issuer")
	if !strings.Contains(strings.ReplaceAll(section, "\n", " "), "extended key usages that the spec does not name") {
		t.Error("docs/certificates.md does not list the difference in extended key usages")
	}
}

// requestFor returns the CertificateRequest that cert-manager creates for a
// Certificate, with all its feature gates enabled.
func requestFor(t reporter, spec cmapi.CertificateSpec, key crypto.Signer) *cmapi.CertificateRequest {
	t.Helper()
	certificate := &cmapi.Certificate{Spec: spec}
	certificate.Spec.PrivateKey = privateKeySpec(key)
	csr, err := pki.GenerateCSR(certificate, pki.WithUseLiteralSubject(true), pki.WithOtherNames(true),
		pki.WithNameConstraints(true), pki.WithEncodeBasicConstraintsInRequest(true))
	if err != nil {
		t.Fatalf("GenerateCSR: %v", err)
	}
	return &cmapi.CertificateRequest{Spec: cmapi.CertificateRequestSpec{
		Request: encodeCSR(t, csr, key), Duration: spec.Duration, IsCA: spec.IsCA, Usages: spec.Usages,
	}}
}

func privateKeySpec(key crypto.Signer) *cmapi.CertificatePrivateKey {
	for algorithm, name := range map[x509.PublicKeyAlgorithm]cmapi.PrivateKeyAlgorithm{
		x509.RSA: cmapi.RSAKeyAlgorithm, x509.ECDSA: cmapi.ECDSAKeyAlgorithm, x509.Ed25519: cmapi.Ed25519KeyAlgorithm,
	} {
		if algorithmOf(key) == algorithm {
			return &cmapi.CertificatePrivateKey{Algorithm: name, Size: keySize(key)}
		}
	}
	panic("unknown key")
}

// compareWithInTree signs a request both ways.
func compareWithInTree(t reporter, request *cmapi.CertificateRequest, key crypto.Signer) {
	t.Helper()
	template, err := pki.CertificateTemplateFromCertificateRequest(request)
	if err != nil {
		t.Fatalf("template in-tree: %v", err)
	}
	_, theirs, err := pki.SignCertificate(template, template, key.Public(), key)
	if err != nil {
		t.Fatalf("sign in-tree: %v", err)
	}
	ours, _ := selfSign(t, signerRequest(t, request), key, signer.Options{})

	want, got := tbsFields(t, theirs), tbsFields(t, ours)
	for _, field := range slices.Sorted(maps.Keys(merged(want, got))) {
		if _, mayDiffer := intended[field]; !mayDiffer && want[field] != got[field] {
			t.Errorf("%s: in-tree %q, ours %q", field, want[field], got[field])
		}
	}
	if want, got := theirs.NotAfter.Sub(theirs.NotBefore), ours.NotAfter.Sub(ours.NotBefore); want != got {
		t.Errorf("valid for %s in-tree, for %s here", want, got)
	}
	if theirs.IsCA && !bytes.Equal(theirs.SubjectKeyId, ours.SubjectKeyId) {
		t.Errorf("subject key identifier of a CA: in-tree %x, ours %x", theirs.SubjectKeyId, ours.SubjectKeyId)
	}
}

// signerRequest converts like the controllers.
func signerRequest(t reporter, request *cmapi.CertificateRequest) signer.Request {
	t.Helper()
	usage, extended, err := pki.KeyUsagesForCertificateOrCertificateRequest(request.Spec.Usages, request.Spec.IsCA)
	if err != nil {
		t.Fatal(err)
	}
	duration := cmapi.DefaultCertificateDuration
	if request.Spec.Duration != nil {
		duration = request.Spec.Duration.Duration
	}
	return signer.Request{CSR: request.Spec.Request, Duration: duration, IsCA: request.Spec.IsCA, KeyUsage: usage, ExtKeyUsage: extended}
}

// tbs is TBSCertificate of RFC 5280 section 4.1. Fields that are compared as bytes are
// not decoded.
type tbs struct {
	Version      asn1.RawValue `asn1:"explicit,tag:0"`
	SerialNumber asn1.RawValue
	Signature    asn1.RawValue
	Issuer       asn1.RawValue
	Validity     struct{ NotBefore, NotAfter asn1.RawValue }
	Subject      asn1.RawValue
	PublicKey    asn1.RawValue
	Extensions   []pkix.Extension `asn1:"explicit,tag:3"`
}

// tbsFields returns each field of a certificate, including the order of the extensions.
func tbsFields(t reporter, certificate *x509.Certificate) map[string]string {
	t.Helper()
	var decoded tbs
	if rest, err := asn1.Unmarshal(certificate.RawTBSCertificate, &decoded); err != nil || len(rest) != 0 {
		t.Fatalf("decode TBSCertificate: %v, %d bytes left over", err, len(rest))
	}
	fields := map[string]string{
		"version":              fmt.Sprintf("%x", decoded.Version.FullBytes),
		"serialNumber":         fmt.Sprintf("%x", decoded.SerialNumber.FullBytes),
		"signature":            fmt.Sprintf("%x", decoded.Signature.FullBytes),
		"issuer":               fmt.Sprintf("%x", decoded.Issuer.FullBytes),
		"validity.notBefore":   string(decoded.Validity.NotBefore.Bytes),
		"validity.notAfter":    string(decoded.Validity.NotAfter.Bytes),
		"subject":              fmt.Sprintf("%x", decoded.Subject.FullBytes),
		"subjectPublicKeyInfo": fmt.Sprintf("%x", decoded.PublicKey.FullBytes),
	}
	for _, extension := range decoded.Extensions {
		name := extensionName(extension.Id)
		fields[name] = fmt.Sprintf("critical=%v %x", extension.Critical, extension.Value)
		if _, mayDiffer := intended[name]; !mayDiffer {
			fields["order of extensions"] += name + " "
		}
	}
	return fields
}

func extensionName(oid asn1.ObjectIdentifier) string {
	switch {
	case oid.Equal(oidSubjectKeyIdentifier):
		return "subjectKeyIdentifier"
	case oid.Equal(oidAuthorityKeyIdentifier):
		return "authorityKeyIdentifier"
	}
	return oid.String()
}

func merged(a, b map[string]string) map[string]string {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}
