// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package issuance_test

import (
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	cmutil "github.com/cert-manager/cert-manager/pkg/api/util"
	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	selfsigned "github.com/cert-manager/selfsigned-issuer/api/v1alpha1"
)

// newNamespaceWith creates a namespace with a SelfSignedIssuer "issuer" with this spec.
func newNamespaceWith(t *testing.T, spec selfsigned.SelfSignedIssuerSpec) string {
	t.Helper()
	namespace := newEmptyNamespace(t)
	issuer := newIssuer(namespace, "issuer")
	issuer.Spec = spec
	env.Create(t, issuer)
	return namespace
}

// TestIssuerOptions signs a Certificate with each option of the issuer.
func TestIssuerOptions(t *testing.T) {
	rsa := func(c *cmapi.Certificate) {
		c.Spec.PrivateKey = &cmapi.CertificatePrivateKey{Algorithm: cmapi.RSAKeyAlgorithm, Size: 2048}
	}
	for _, test := range []struct {
		name string
		spec selfsigned.SelfSignedIssuerSpec
		ask  func(*cmapi.Certificate)
		show func(*x509.Certificate) string
		want string
		note []string // parts of the event Adjusted; empty: no such event
	}{
		{
			name: "signature algorithm of the Certificate is not followed by default",
			ask: func(c *cmapi.Certificate) {
				rsa(c)
				c.Spec.SignatureAlgorithm = cmapi.SHA512WithRSA
			},
			show: signatureAlgorithm, want: "SHA256-RSA",
			note: []string{"SHA256WithRSA", "SHA512WithRSA"},
		},
		{
			name: "signature algorithm FromRequest",
			spec: selfsigned.SelfSignedIssuerSpec{SignatureAlgorithm: selfsigned.SignatureAlgorithmFromRequest},
			ask: func(c *cmapi.Certificate) {
				rsa(c)
				c.Spec.SignatureAlgorithm = cmapi.SHA512WithRSA
			},
			show: signatureAlgorithm, want: "SHA512-RSA",
		},
		{
			name: "named signature algorithm",
			spec: selfsigned.SelfSignedIssuerSpec{SignatureAlgorithm: selfsigned.SignatureAlgorithmSHA256WithRSAPSS},
			ask:  rsa,
			show: signatureAlgorithm, want: "SHA256-RSAPSS",
		},
		{
			name: "subject key identifier by SHA-1",
			spec: selfsigned.SelfSignedIssuerSpec{SubjectKeyIdentifier: selfsigned.SubjectKeyIdentifierSHA1},
			show: func(c *x509.Certificate) string {
				var key struct {
					Algorithm asn1.RawValue
					Bits      asn1.BitString
				}
				if _, err := asn1.Unmarshal(c.RawSubjectPublicKeyInfo, &key); err != nil {
					return err.Error()
				}
				sum := sha1.Sum(key.Bits.Bytes)
				return fmt.Sprint(bytes.Equal(sum[:], c.SubjectKeyId) && bytes.Equal(sum[:], c.AuthorityKeyId))
			},
			want: "true",
		},
		{
			name: "path length 0",
			spec: selfsigned.SelfSignedIssuerSpec{MaxPathLength: new(int32)},
			ask:  func(c *cmapi.Certificate) { c.Spec.IsCA = true },
			show: pathLength, want: "0 true",
		},
		{
			name: "path length of a certificate that is not for a CA",
			spec: selfsigned.SelfSignedIssuerSpec{MaxPathLength: new(int32)},
			show: pathLength, want: "-1 false",
		},
		{
			name: "path length unset",
			ask:  func(c *cmapi.Certificate) { c.Spec.IsCA = true },
			show: pathLength, want: "-1 false",
		},
		{
			name: "backdated",
			spec: selfsigned.SelfSignedIssuerSpec{Backdate: &metav1.Duration{Duration: 5 * time.Minute}},
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
			if got := test.show(signed); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
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
	change(t, certificate, func() { certificate.Spec.RevisionHistoryLimit = new(int32(7)) })
	env.Eventually(t, "another check of "+certificate.Name, func(context.Context) error {
		env.Get(t, certificate)
		if c := cmutil.GetCertificateCondition(certificate, cmapi.CertificateConditionReady); c.ObservedGeneration != certificate.Generation {
			return fmt.Errorf("generation %d, seen %d", certificate.Generation, c.ObservedGeneration)
		}
		return nil
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
	if !cmutil.CertificateHasCondition(certificate, cmapi.CertificateCondition{Type: cmapi.CertificateConditionReady, Status: cmmeta.ConditionTrue}) {
		t.Errorf("the Certificate is no longer Ready: %+v", certificate.Status)
	}
	if cmutil.CertificateHasCondition(certificate, cmapi.CertificateCondition{Type: cmapi.CertificateConditionIssuing, Status: cmmeta.ConditionTrue}) || revision(certificate) != before {
		t.Errorf("the Certificate is issued again: %+v", certificate.Status)
	}
	if renewal := certificate.Status.RenewalTime; renewal == nil || !renewal.After(time.Now()) {
		t.Errorf("the renewal is due at %s", renewal)
	}
}

// TestFilledSubject has a subject that is not in the Certificate. cert-manager must accept it, also
// without the CertificateRequest.
func TestFilledSubject(t *testing.T) {
	t.Parallel()
	certificate := newCertificate(newNamespaceWith(t, selfsigned.SelfSignedIssuerSpec{EmptySubject: selfsigned.EmptySubjectFill}))
	certificate.Spec.CommonName = ""
	env.Create(t, certificate)
	signed, _ := awaitIssued(t, certificate)
	if want := "SERIALNUMBER=" + hex.EncodeToString(signed.SubjectKeyId); signed.Subject.String() != want || signed.Issuer.String() != want {
		t.Errorf("subject %s, issuer %s, want %s", signed.Subject, signed.Issuer, want)
	}
	if len(signed.DNSNames) != 1 || signed.DNSNames[0] != "example.com" {
		t.Errorf("DNS names %q, want those of the Certificate", signed.DNSNames)
	}
	for _, extension := range signed.Extensions {
		if extension.Id.Equal(asn1.ObjectIdentifier{2, 5, 29, 17}) && extension.Critical {
			t.Error("the subject alternative names are critical although there is a subject")
		}
	}
	request := requestOf(t, certificate)
	checkEvents(t, request, "CertificateIssued")
	if err := env.Client.Delete(t.Context(), request); err != nil {
		t.Fatal(err)
	}
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
			awaitOutcome(t, request, cmmeta.ConditionFalse, "Failed", "Warning", "ErrorSigning", append(test.mentions, "SelfSignedIssuer "+certificate.Namespace+"/issuer")...)
			env.Eventually(t, "failure of the Certificate", func(context.Context) error {
				env.Get(t, certificate)
				issuing := cmutil.GetCertificateCondition(certificate, cmapi.CertificateConditionIssuing)
				if issuing == nil || issuing.Reason != "Failed" || !strings.Contains(issuing.Message, ready(request).Message) {
					return fmt.Errorf("%+v", certificate.Status)
				}
				return nil
			})
			checkFailed(t, request)
			checkEvents(t, request, "ErrorSigning")
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
			if got := signed.NotAfter.Sub(signed.NotBefore); got != test.duration+test.used {
				t.Errorf("the validity is %s, want %s", got, test.duration+test.used)
			}
			request := requestOf(t, certificate)
			awaitEvent(t, request, "Warning", "Adjusted", test.used.String(), "24h0m0s", test.duration.String())
			checkEvents(t, request, "CertificateIssued", "Adjusted")
			checkNotRenewed(t, certificate)
			certificateData := secret.Data["tls.crt"]
			if env.Get(t, secret); !bytes.Equal(secret.Data["tls.crt"], certificateData) {
				t.Error("the certificate in the Secret was replaced")
			}
		})
	}
}

func renewBeforePercentage(percentage int32) func(*cmapi.CertificateSpec) {
	return func(spec *cmapi.CertificateSpec) { spec.RenewBeforePercentage = &percentage }
}

// TestSmallerPathLength has a request with a path length, which cert-manager's Certificates cannot have.
func TestSmallerPathLength(t *testing.T) {
	for _, test := range []struct{ issuer, request, want int }{{5, 2, 2}, {1, 2, 1}, {0, 2, 0}, {2, 0, 0}} {
		t.Run(fmt.Sprintf("issuer %d, request %d", test.issuer, test.request), func(t *testing.T) {
			t.Parallel()
			key := newKey(t)
			namespace := newNamespaceWith(t, selfsigned.SelfSignedIssuerSpec{MaxPathLength: new(int32(test.issuer))})
			createKeySecret(t, namespace, key)
			request := newRequest(t, namespace, key)
			request.Spec.IsCA = true
			request.Spec.Request = caRequest(t, key, test.request)
			env.Create(t, request)
			awaitReady(t, request, cmmeta.ConditionTrue, "Issued", "Secret "+namespace+"/key")
			if got := mustParse(t, request.Status.Certificate).MaxPathLen; got != test.want {
				t.Errorf("path length %d, want %d", got, test.want)
			}
		})
	}
}
