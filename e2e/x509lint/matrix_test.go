// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package x509lint_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	"github.com/cert-manager/cert-manager/pkg/util/pki"

	"github.com/cert-manager/selfsigned-issuer/signer"
)

// now is late enough for every lint to be in effect.
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
		{"server", []cmapi.KeyUsage{cmapi.UsageDigitalSignature, cmapi.UsageServerAuth}},
		{"server and client", []cmapi.KeyUsage{cmapi.UsageDigitalSignature, cmapi.UsageKeyEncipherment, cmapi.UsageServerAuth, cmapi.UsageClientAuth}},
		{"code signing", []cmapi.KeyUsage{cmapi.UsageDigitalSignature, cmapi.UsageContentCommitment, cmapi.UsageCodeSigning}},
		{"extended only", []cmapi.KeyUsage{cmapi.UsageClientAuth}},
		{"any", []cmapi.KeyUsage{cmapi.UsageDigitalSignature, cmapi.UsageAny}},
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
		{"from request", signer.Options{SignatureAlgorithm: signer.SignatureAlgorithmFromRequest}},
		{"path length 0", signer.Options{MaxPathLength: new(0)}},
		{"path length 3", signer.Options{MaxPathLength: new(3)}},
		{"backdated", signer.Options{Backdate: 24 * time.Hour}},
		{"SHA-1 identifier", signer.Options{SubjectKeyIdentifier: signer.KeyIdentifierSHA1}},
		{"everything", signer.Options{
			CRLDistributionPoints: []string{"https://crl.example.com/a.crl"}, EmptySubject: signer.EmptySubjectFill, MaxPathLength: new(1),
			Backdate: time.Hour, SubjectKeyIdentifier: signer.KeyIdentifierSHA1, SignatureAlgorithm: signer.SignatureAlgorithmFromRequest,
		}},
	}
)

// key is a private key with the options that only fit its type.
type key struct {
	name   string
	spec   cmapi.CertificatePrivateKey
	signer crypto.Signer
	named  []signer.SignatureAlgorithm
}

// newKeys makes one key of every kind that cert-manager offers. RSA 8192, which
// takes long to make and to sign with, is in newLargeKey.
func newKeys() []key {
	rsaNames := []signer.SignatureAlgorithm{"SHA256WithRSA", "SHA384WithRSA", "SHA512WithRSA", "SHA256WithRSAPSS", "SHA384WithRSAPSS", "SHA512WithRSAPSS"}
	ecdsaNames := []signer.SignatureAlgorithm{"ECDSAWithSHA256", "ECDSAWithSHA384", "ECDSAWithSHA512"}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	must(err)

	keys := []key{{"Ed25519", cmapi.CertificatePrivateKey{Algorithm: cmapi.Ed25519KeyAlgorithm}, ed, []signer.SignatureAlgorithm{"PureEd25519"}}}
	for size, curve := range map[int]elliptic.Curve{256: elliptic.P256(), 384: elliptic.P384(), 521: elliptic.P521()} {
		private, err := ecdsa.GenerateKey(curve, rand.Reader)
		must(err)
		keys = append(keys, key{fmt.Sprintf("P-%d", size), cmapi.CertificatePrivateKey{Algorithm: cmapi.ECDSAKeyAlgorithm, Size: size}, private, ecdsaNames})
	}
	for _, size := range []int{2048, 3072, 4096} {
		keys = append(keys, newRSA(size, rsaNames))
	}
	return keys
}

func newLargeKey() key { return newRSA(8192, nil) }

func newRSA(size int, named []signer.SignatureAlgorithm) key {
	private, err := rsa.GenerateKey(rand.Reader, size)
	must(err)
	return key{fmt.Sprintf("RSA %d", size), cmapi.CertificatePrivateKey{Algorithm: cmapi.RSAKeyAlgorithm, Size: size}, private, named}
}

// combination is one certificate of the matrix.
type combination struct {
	name        string
	isCA        bool
	noSubject   bool // requested without a subject
	filled      bool // with the option that fills it
	requested   cmapi.CertificateSpec
	certificate *x509.Certificate
}

// combine makes the certificates of a key in all combinations.
func combine(t *testing.T, k key, options []choice[signer.Options]) []combination {
	t.Helper()
	var all []combination
	for _, usage := range usages {
		for _, kind := range kinds {
			for _, subject := range subjects {
				spec := subject.value
				spec.Usages, spec.IsCA, spec.PrivateKey = usage.value, kind.value, &k.spec
				candidate := request(t, spec, k.signer)
				for _, option := range options {
					result, err := signer.SelfSign(candidate, k.signer, option.value, now)
					name := strings.Join([]string{k.name, usage.name, kind.name, subject.name, option.name}, ", ")
					if err != nil {
						t.Fatalf("%s: %v", name, err)
					}
					all = append(all, combination{
						name: name, isCA: kind.value, noSubject: strings.HasPrefix(subject.name, "no subject"),
						filled: option.value.EmptySubject == signer.EmptySubjectFill, requested: spec,
						certificate: decode(t, result.PEM),
					})
				}
			}
		}
	}
	return all
}

// optionsFor adds the signature algorithms that a key can sign with.
func optionsFor(k key) []choice[signer.Options] {
	all := options[:len(options):len(options)]
	for _, name := range k.named {
		all = append(all, choice[signer.Options]{string(name), signer.Options{SignatureAlgorithm: name}})
	}
	return all
}

// request takes the way from a Certificate to the signer that cert-manager and
// the controllers take.
func request(t *testing.T, spec cmapi.CertificateSpec, key crypto.Signer) *signer.Candidate {
	t.Helper()
	csr, err := pki.GenerateCSR(&cmapi.Certificate{Spec: spec}, pki.WithUseLiteralSubject(true), pki.WithOtherNames(true),
		pki.WithNameConstraints(true), pki.WithEncodeBasicConstraintsInRequest(true))
	if err != nil {
		t.Fatal(err)
	}
	der, err := pki.EncodeCSR(csr, key)
	if err != nil {
		t.Fatal(err)
	}
	usage, extended, err := pki.KeyUsagesForCertificateOrCertificateRequest(spec.Usages, spec.IsCA)
	if err != nil {
		t.Fatal(err)
	}
	candidate, err := signer.Parse(signer.Request{
		CSR:      encode("CERTIFICATE REQUEST", der),
		Duration: 90 * 24 * time.Hour, IsCA: spec.IsCA, KeyUsage: usage, ExtKeyUsage: extended,
	})
	if err != nil {
		t.Fatal(err)
	}
	return candidate
}

func encode(label string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: label, Bytes: der})
}

func decode(t *testing.T, data []byte) *x509.Certificate {
	t.Helper()
	certificate, err := pki.DecodeX509CertificateBytes(data)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

// must is for what cannot fail unless the test itself is wrong.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
