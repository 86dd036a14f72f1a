// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package x509_test

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"slices"
	"strings"
	"testing"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	"github.com/cert-manager/cert-manager/pkg/util/pki"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/certtext"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
	"github.com/cert-manager/selfsigned-issuer/signer"
)

// now is a time when all lints are effective.
var now = time.Date(2030, time.March, 1, 12, 0, 0, 0, time.UTC)

// choice is one value of a dimension of the matrix.
type choice[T any] struct {
	name  string
	value T
}

// The dimensions. Certificates are requested as cert-manager requests them.
var (
	usages = []choice[[]cmapi.KeyUsage]{
		{"default usages", nil},
		{"server and client", []cmapi.KeyUsage{cmapi.UsageDigitalSignature, cmapi.UsageKeyEncipherment, cmapi.UsageServerAuth, cmapi.UsageClientAuth}},
		{"code signing", []cmapi.KeyUsage{cmapi.UsageDigitalSignature, cmapi.UsageContentCommitment, cmapi.UsageCodeSigning}},
		{"extended only", []cmapi.KeyUsage{cmapi.UsageClientAuth, cmapi.UsageAny}},
	}

	kinds = []choice[bool]{{"leaf", false}, {"CA", true}}

	subjects = []choice[cmapi.CertificateSpec]{
		{"common name", cmapi.CertificateSpec{CommonName: "a.example.com", DNSNames: []string{"a.example.com"}}},
		{"common name only", cmapi.CertificateSpec{CommonName: "Example Root"}},
		{"full subject", cmapi.CertificateSpec{
			CommonName: "Example Root", DNSNames: []string{"a.example.com", "*.example.com"},
			Subject: &cmapi.X509Subject{
				Countries: []string{"CH"}, Provinces: []string{"ZH"}, Localities: []string{"Zürich"}, StreetAddresses: []string{"Main Street 1"},
				PostalCodes: []string{"8000"}, Organizations: []string{"Example"}, OrganizationalUnits: []string{"PKI", "Root"}, SerialNumber: "17",
			},
		}},
		{"literal subject", cmapi.CertificateSpec{LiteralSubject: "CN=Éxample,OU=b+OU=a,DC=example,DC=org", URIs: []string{"spiffe://example.com/ns/a/sa/b"}}},
		{"every SAN", cmapi.CertificateSpec{
			CommonName: "names", DNSNames: []string{"a.example.com"}, IPAddresses: []string{"192.0.2.1", "2001:db8::1"},
			URIs: []string{"https://example.com/a"}, EmailAddresses: []string{"a@example.com"},
			OtherNames: []cmapi.OtherName{{OID: "1.3.6.1.4.1.311.20.2.3", UTF8Value: "a@example.com"}},
		}},
		{"no subject", cmapi.CertificateSpec{DNSNames: []string{"a.example.com"}}},
		{"no subject, otherName", cmapi.CertificateSpec{OtherNames: []cmapi.OtherName{{OID: "1.3.6.1.4.1.311.20.2.3", UTF8Value: "a@example.com"}}}},
		{"name constraints", cmapi.CertificateSpec{CommonName: "Constrained", NameConstraints: &cmapi.NameConstraints{
			Critical:  true,
			Permitted: &cmapi.NameConstraintItem{DNSDomains: []string{"example.com"}, IPRanges: []string{"192.0.2.0/24"}, EmailAddresses: []string{"example.com"}},
			Excluded:  &cmapi.NameConstraintItem{DNSDomains: []string{"x.example.com"}},
		}}},
	}

	options = []choice[signer.Options]{
		{"no option", signer.Options{}},
		{"CRL distribution points", signer.Options{CRLDistributionPoints: []string{"http://crl.example.com/a.crl", "ldap://ldap.example.com/cn=a?certificateRevocationList"}}},
		{"fill", signer.Options{EmptySubject: signer.EmptySubjectFill}},
		{"path length 0", signer.Options{MaxPathLength: new(0)}},
		{"backdated", signer.Options{Backdate: 24 * time.Hour}},
		{"SHA-1 identifier", signer.Options{SubjectKeyIdentifier: signer.KeyIdentifierSHA1}},
		{"everything", signer.Options{
			CRLDistributionPoints: []string{"https://crl.example.com/a.crl"}, EmptySubject: signer.EmptySubjectFill, MaxPathLength: new(1),
			Backdate: time.Hour, SubjectKeyIdentifier: signer.KeyIdentifierSHA1, SignatureAlgorithm: signer.SignatureAlgorithmFromRequest,
		}},
	}
)

// kindOfKey is a kind of private key, with the dimensions of its combinations.
type kindOfKey struct {
	name    string
	spec    cmapi.CertificatePrivateKey
	usages  []choice[[]cmapi.KeyUsage]
	options []choice[signer.Options]
}

// kindsOfKey are those of cert-manager. RSA 8192 is slow, so it is not combined with all usages and
// options.
var kindsOfKey = []kindOfKey{
	{"RSA 8192", cmapi.CertificatePrivateKey{Algorithm: cmapi.RSAKeyAlgorithm, Size: 8192}, usages[:1], options[:1]},
	{"RSA 4096", cmapi.CertificatePrivateKey{Algorithm: cmapi.RSAKeyAlgorithm, Size: 4096}, usages, optionsAnd(rsaAlgorithms...)},
	{"RSA 3072", cmapi.CertificatePrivateKey{Algorithm: cmapi.RSAKeyAlgorithm, Size: 3072}, usages, optionsAnd(rsaAlgorithms...)},
	{"RSA 2048", cmapi.CertificatePrivateKey{Algorithm: cmapi.RSAKeyAlgorithm, Size: 2048}, usages, optionsAnd(rsaAlgorithms...)},
	{"P-521", cmapi.CertificatePrivateKey{Algorithm: cmapi.ECDSAKeyAlgorithm, Size: 521}, usages, optionsAnd(ecdsaAlgorithms...)},
	{"P-384", cmapi.CertificatePrivateKey{Algorithm: cmapi.ECDSAKeyAlgorithm, Size: 384}, usages, optionsAnd(ecdsaAlgorithms...)},
	{"P-256", cmapi.CertificatePrivateKey{Algorithm: cmapi.ECDSAKeyAlgorithm, Size: 256}, usages, optionsAnd(ecdsaAlgorithms...)},
	{"Ed25519", cmapi.CertificatePrivateKey{Algorithm: cmapi.Ed25519KeyAlgorithm}, usages, optionsAnd("PureEd25519")},
}

var (
	rsaAlgorithms   = []signer.SignatureAlgorithm{"SHA256WithRSA", "SHA384WithRSA", "SHA512WithRSA", "SHA256WithRSAPSS", "SHA384WithRSAPSS", "SHA512WithRSAPSS"}
	ecdsaAlgorithms = []signer.SignatureAlgorithm{"ECDSAWithSHA256", "ECDSAWithSHA384", "ECDSAWithSHA512"}
)

// optionsAnd adds the signature algorithms for a kind of key.
func optionsAnd(algorithms ...signer.SignatureAlgorithm) []choice[signer.Options] {
	all := slices.Clone(options)
	for _, name := range algorithms {
		all = append(all, choice[signer.Options]{string(name), signer.Options{SignatureAlgorithm: name}})
	}
	return all
}

// combination is one certificate of the matrix.
type combination struct {
	name        string
	requested   cmapi.CertificateSpec
	option      signer.Options
	certificate *x509.Certificate
}

// unnamed reports whether the certificate has no subject, as requested.
func (c combination) unnamed() bool {
	return pki.IsASN1SubjectEmpty(c.certificate.RawSubject)
}

// enciphers reports whether a key of this type has the usage key encipherment.
func (c combination) enciphers(key x509.PublicKeyAlgorithm) bool {
	return c.certificate.PublicKeyAlgorithm == key && c.certificate.KeyUsage&x509.KeyUsageKeyEncipherment != 0
}

// combine creates a key, reads it as from a Secret, and creates all combinations of its certificates.
func (k kindOfKey) combine(t *testing.T) []combination {
	t.Helper()
	generated, err := pki.GeneratePrivateKeyForCertificate(&cmapi.Certificate{Spec: cmapi.CertificateSpec{PrivateKey: &k.spec}})
	expect.NoError(t, err)
	encoded, err := pki.EncodePrivateKey(generated, cmapi.PKCS1)
	expect.NoError(t, err)
	key, err := signer.ParsePrivateKey(encoded, signer.Limits{})
	expect.NoError(t, err)
	var all []combination
	for _, usage := range k.usages {
		for _, kind := range kinds {
			for _, subject := range subjects {
				spec := subject.value
				spec.Usages, spec.IsCA, spec.PrivateKey = usage.value, kind.value, &k.spec
				name := strings.Join([]string{k.name, usage.name, kind.name, subject.name}, ", ")
				all = append(all, signAll(t, name, key, spec, k.options)...)
			}
		}
	}
	return all
}

// signAll signs one request with every option.
func signAll(t *testing.T, name string, key crypto.Signer, spec cmapi.CertificateSpec, options []choice[signer.Options]) []combination {
	t.Helper()
	candidate := request(t, spec, key)
	var all []combination
	for _, option := range options {
		result, err := signer.SelfSign(candidate, key, option.value, now)
		if err != nil {
			t.Fatalf("%s, %s: %v", name, option.name, err)
		}
		certificate, err := certtext.Parse(result.PEM)
		expect.NoError(t, err)
		all = append(all, combination{name + ", " + option.name, spec, option.value, certificate})
	}
	return all
}

// request returns the parsed request of a Certificate, as from cert-manager and the controllers.
func request(t *testing.T, spec cmapi.CertificateSpec, key crypto.Signer) *signer.ParsedRequest {
	t.Helper()
	csr, err := pki.GenerateCSR(&cmapi.Certificate{Spec: spec}, pki.WithUseLiteralSubject(true), pki.WithOtherNames(true),
		pki.WithNameConstraints(true), pki.WithEncodeBasicConstraintsInRequest(true))
	expect.NoError(t, err)
	der, err := pki.EncodeCSR(csr, key)
	expect.NoError(t, err)
	usage, extended, err := pki.KeyUsagesForCertificateOrCertificateRequest(spec.Usages, spec.IsCA)
	expect.NoError(t, err)
	candidate, err := signer.Parse(signer.Request{
		CSR:      pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}),
		Duration: 90 * 24 * time.Hour, IsCA: spec.IsCA, KeyUsage: usage, ExtKeyUsage: extended,
	}, signer.Limits{})
	expect.NoError(t, err)
	return candidate
}
