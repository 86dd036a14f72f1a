// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package issuance_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/sha1"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	cmutil "github.com/cert-manager/cert-manager/pkg/api/util"
	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	selfsigned "github.com/cert-manager/selfsigned-issuer/api/v1alpha1"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
)

// TestIssuerOptions signs a Certificate with each option of the issuer.
func TestIssuerOptions(t *testing.T) {
	type spec = selfsigned.SelfSignedIssuerSpec
	rsa := func(c *cmapi.Certificate) {
		c.Spec.PrivateKey = &cmapi.CertificatePrivateKey{Algorithm: cmapi.RSAKeyAlgorithm, Size: 2048}
	}
	rsaWithSHA512 := func(c *cmapi.Certificate) {
		rsa(c)
		c.Spec.SignatureAlgorithm = cmapi.SHA512WithRSA
	}
	ca := func(c *cmapi.Certificate) { c.Spec.IsCA = true }
	for _, test := range []struct {
		name string
		spec spec
		ask  func(*cmapi.Certificate)
		show func(*x509.Certificate) string
		want string
		note []string // parts of the event Adjusted; empty: no such event
	}{
		{
			name: "signature algorithm of the Certificate is not followed by default",
			ask:  rsaWithSHA512, show: signatureAlgorithm, want: "SHA256-RSA", note: []string{"SHA256WithRSA", "SHA512WithRSA"},
		},
		{
			name: "signature algorithm FromRequest",
			spec: spec{SignatureAlgorithm: selfsigned.SignatureAlgorithmFromRequest},
			ask:  rsaWithSHA512, show: signatureAlgorithm, want: "SHA512-RSA",
		},
		{
			name: "named signature algorithm",
			spec: spec{SignatureAlgorithm: selfsigned.SignatureAlgorithmSHA256WithRSAPSS},
			ask:  rsa, show: signatureAlgorithm, want: "SHA256-RSAPSS",
		},
		{
			name: "subject key identifier by SHA-1",
			spec: spec{SubjectKeyIdentifier: selfsigned.SubjectKeyIdentifierSHA1},
			show: func(c *x509.Certificate) string {
				point, err := c.PublicKey.(*ecdsa.PublicKey).Bytes()
				sum := sha1.Sum(point)
				return fmt.Sprintf("subject: %t, authority: %t, %v", bytes.Equal(sum[:], c.SubjectKeyId), bytes.Equal(sum[:], c.AuthorityKeyId), err)
			},
			want: "subject: true, authority: true, <nil>",
		},
		{name: "path length 0", spec: spec{MaxPathLength: new(int32)}, ask: ca, show: pathLength, want: "0 true"},
		{
			name: "path length of a certificate that is not for a CA",
			spec: spec{MaxPathLength: new(int32)}, show: pathLength, want: "-1 false",
		},
		{name: "path length unset", ask: ca, show: pathLength, want: "-1 false"},
		{
			name: "backdated",
			spec: spec{Backdate: &metav1.Duration{Duration: 5 * time.Minute}},
			ask:  func(c *cmapi.Certificate) { c.Spec.Duration = &metav1.Duration{Duration: 1000 * time.Hour} },
			show: func(c *x509.Certificate) string { return c.NotAfter.Sub(c.NotBefore).String() }, want: "1000h5m0s",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			certificate := newCertificate(newNamespaceWith(t, test.spec))
			if test.ask != nil {
				test.ask(certificate)
			}
			env.Create(t, certificate)
			signed, _ := awaitIssued(t, certificate)
			expect.Equal(t, test.name, test.want, test.show(signed))
			request, reasons := requestOf(t, certificate), []string{"CertificateIssued"}
			if test.note != nil {
				awaitEvent(t, request, "Warning", "Adjusted", test.note...)
				reasons = append(reasons, "Adjusted")
			}
			checkEvents(t, request, reasons...)
			checkNotRenewed(t, certificate)
		})
	}
}

func signatureAlgorithm(c *x509.Certificate) string { return c.SignatureAlgorithm.String() }

func pathLength(c *x509.Certificate) string { return fmt.Sprint(c.MaxPathLen, c.MaxPathLenZero) }

// checkNotRenewed makes cert-manager check a Certificate again, by a change that does not affect
// its content, and expects no renewal.
func checkNotRenewed(t *testing.T, certificate *cmapi.Certificate) {
	t.Helper()
	before := revision(certificate)
	env.Change(t, certificate, func() { certificate.Spec.RevisionHistoryLimit = new(int32(7)) })
	env.Await(t, "another check", certificate, func() bool {
		ready := cmutil.GetCertificateCondition(certificate, cmapi.CertificateConditionReady)
		return ready.ObservedGeneration == certificate.Generation
	})
	// The controllers that check and that renew are independent: a Certificate that is issued later
	// has been handled by both.
	later := newCertificate(certificate.Namespace)
	later.Name, later.Spec.SecretName = certificate.Name+"-later", certificate.Spec.SecretName+"-later"
	later.Spec.CommonName, later.Spec.Duration = "later.example.com", certificate.Spec.Duration
	later.Spec.IssuerRef.Name = "plain"
	env.Create(t, newIssuer(certificate.Namespace, "plain"))
	env.Create(t, later)
	awaitIssued(t, later)
	env.Get(t, certificate)
	expect.True(t, isTrue(certificate, cmapi.CertificateConditionReady),
		"the Certificate is no longer Ready: %+v", certificate.Status)
	expect.True(t, !isTrue(certificate, cmapi.CertificateConditionIssuing) && revision(certificate) == before,
		"the Certificate is issued again: %+v", certificate.Status)
	renewal := certificate.Status.RenewalTime
	expect.True(t, renewal != nil && renewal.After(time.Now()), "the renewal is due at %s", renewal)
}

// TestFilledSubject has a subject that is not in the Certificate. cert-manager must accept it, also
// without the CertificateRequest.
func TestFilledSubject(t *testing.T) {
	t.Parallel()
	certificate := newCertificate(newNamespaceWith(t, selfsigned.SelfSignedIssuerSpec{EmptySubject: selfsigned.EmptySubjectFill}))
	certificate.Spec.CommonName = ""
	env.Create(t, certificate)
	signed, _ := awaitIssued(t, certificate)
	want := "SERIALNUMBER=" + hex.EncodeToString(signed.SubjectKeyId)
	expect.Equal(t, "subject", want, signed.Subject.String())
	expect.Equal(t, "issuer", want, signed.Issuer.String())
	expect.True(t, len(signed.DNSNames) == 1 && signed.DNSNames[0] == "example.com",
		"DNS names %q, want those of the Certificate", signed.DNSNames)
	critical := extension(signed.Extensions, 17).Critical
	expect.True(t, !critical, "the subject alternative names are critical although there is a subject")
	request := requestOf(t, certificate)
	checkEvents(t, request, "CertificateIssued")
	env.Delete(t, request)
	checkNotRenewed(t, certificate)
}

// TestRefusedByAnOption has Certificates that conflict with an option of the issuer.
func TestRefusedByAnOption(t *testing.T) {
	for _, test := range []struct {
		name     string
		spec     selfsigned.SelfSignedIssuerSpec
		ask      func(*cmapi.Certificate)
		mentions []string // parts of the message
	}{
		{
			name:     "empty subject",
			spec:     selfsigned.SelfSignedIssuerSpec{EmptySubject: selfsigned.EmptySubjectReject},
			ask:      func(c *cmapi.Certificate) { c.Spec.CommonName = "" },
			mentions: []string{"spec.emptySubject", "spec.commonName"},
		},
		{
			name:     "signature algorithm of another type of key",
			spec:     selfsigned.SelfSignedIssuerSpec{SignatureAlgorithm: selfsigned.SignatureAlgorithmSHA256WithRSA},
			mentions: []string{"spec.signatureAlgorithm", `"SHA256WithRSA"`, "ECDSA", "ECDSAWithSHA256, ECDSAWithSHA384, ECDSAWithSHA512"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			certificate := newCertificate(newNamespaceWith(t, test.spec))
			if test.ask != nil {
				test.ask(certificate)
			}
			env.Create(t, certificate)
			request := onlyRequest(t, certificate.Namespace)
			mentions := append(test.mentions, "SelfSignedIssuer "+certificate.Namespace+"/issuer")
			awaitFailed(t, request, "ErrorSigning", mentions)
			env.Await(t, "failure of the Certificate", certificate, func() bool {
				issuing := cmutil.GetCertificateCondition(certificate, cmapi.CertificateConditionIssuing)
				return issuing != nil && issuing.Reason == "Failed" && strings.Contains(issuing.Message, ready(request).Message)
			})
		})
	}
}

// TestBackdateIsLimited backdates more than the limit, with renewals as early as cert-manager's
// webhook allows: cert-manager must keep the certificate.
func TestBackdateIsLimited(t *testing.T) {
	for _, test := range []struct {
		name     string
		duration time.Duration
		renewal  func(*cmapi.CertificateSpec)
		used     time.Duration
	}{
		{"default renewal of the shortest duration", time.Hour, func(*cmapi.CertificateSpec) {}, 18 * time.Second},
		{"renewBeforePercentage 91 of the shortest duration", time.Hour, renewBeforePercentage(91), 18 * time.Second},
		{"renewBeforePercentage 95", 240 * time.Hour, renewBeforePercentage(95), 72 * time.Minute},
		{"renewBeforePercentage 99", 240 * time.Hour, renewBeforePercentage(99), 72 * time.Minute},
		{"renewBeforePercentage 99 of the shortest duration for it", 500 * time.Minute, renewBeforePercentage(99), 150 * time.Second},
		{"renewBefore of all but five minutes", 240 * time.Hour, func(spec *cmapi.CertificateSpec) {
			spec.RenewBefore = &metav1.Duration{Duration: 240*time.Hour - 5*time.Minute}
		}, 72 * time.Minute},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			certificate := newCertificate(newNamespaceWith(t, selfsigned.SelfSignedIssuerSpec{Backdate: &metav1.Duration{Duration: 24 * time.Hour}}))
			certificate.Spec.Duration = &metav1.Duration{Duration: test.duration}
			test.renewal(&certificate.Spec)
			env.Create(t, certificate)
			signed, secret := awaitIssued(t, certificate)
			expect.Equal(t, "validity", test.duration+test.used, signed.NotAfter.Sub(signed.NotBefore))
			request := requestOf(t, certificate)
			awaitEvent(t, request, "Warning", "Adjusted", test.used.String(), "24h0m0s", test.duration.String())
			checkEvents(t, request, "CertificateIssued", "Adjusted")
			checkNotRenewed(t, certificate)
			certificateData := secret.Data["tls.crt"]
			env.Get(t, secret)
			expect.True(t, bytes.Equal(secret.Data["tls.crt"], certificateData), "the certificate in the Secret was replaced")
		})
	}
}

func renewBeforePercentage(percentage int32) func(*cmapi.CertificateSpec) {
	return func(spec *cmapi.CertificateSpec) { spec.RenewBeforePercentage = &percentage }
}
