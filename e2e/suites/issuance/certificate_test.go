// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package issuance_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	cmutil "github.com/cert-manager/cert-manager/pkg/api/util"
	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	selfsigned "github.com/cert-manager/selfsigned-issuer/api/v1alpha1"
)

// newCertificate returns a Certificate of issuer "issuer", with Secret "tls".
func newCertificate(namespace string) *cmapi.Certificate {
	return &cmapi.Certificate{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "certificate"},
		Spec: cmapi.CertificateSpec{
			CommonName: "example.com",
			DNSNames:   []string{"example.com"},
			SecretName: "tls",
			PrivateKey: &cmapi.CertificatePrivateKey{Algorithm: cmapi.ECDSAKeyAlgorithm, RotationPolicy: cmapi.RotationPolicyAlways},
			IssuerRef:  cmmeta.IssuerReference{Group: selfsigned.GroupName, Kind: "SelfSignedIssuer", Name: "issuer"},
		},
	}
}

// awaitIssued waits until a Certificate has been issued since the last read of the test, and is
// Ready and self-signed. It returns the certificate and the Secret.
//
// Tests do not expect a specific revision, because cert-manager can issue twice if its cache of
// Secrets is older than that of Certificates.
func awaitIssued(t *testing.T, certificate *cmapi.Certificate) (*x509.Certificate, *corev1.Secret) {
	t.Helper()
	secret := awaitSecret(t, certificate)
	if !bytes.Equal(secret.Data["ca.crt"], secret.Data["tls.crt"]) {
		t.Error("ca.crt is not the certificate itself")
	}
	return mustParse(t, secret.Data["tls.crt"]), secret
}

// awaitSecret is awaitIssued for any issuer.
func awaitSecret(t *testing.T, certificate *cmapi.Certificate) *corev1.Secret {
	t.Helper()
	before := revision(certificate)
	env.Eventually(t, fmt.Sprintf("a revision of %s after %d", certificate.Name, before), func(context.Context) error {
		env.Get(t, certificate)
		isReady := cmutil.CertificateHasCondition(certificate, cmapi.CertificateCondition{Type: cmapi.CertificateConditionReady, Status: cmmeta.ConditionTrue})
		issuing := cmutil.CertificateHasCondition(certificate, cmapi.CertificateCondition{Type: cmapi.CertificateConditionIssuing, Status: cmmeta.ConditionTrue})
		cleanedUp := certificate.Status.NextPrivateKeySecretName == nil // otherwise the next renewal has the same key
		if isReady && !issuing && cleanedUp && revision(certificate) > before {
			return nil
		}
		return fmt.Errorf("%+v", certificate.Status)
	})
	if certificate.Status.FailedIssuanceAttempts != nil {
		t.Errorf("%d failed attempts", *certificate.Status.FailedIssuanceAttempts)
	}
	secret := keySecret(certificate.Namespace, certificate.Spec.SecretName, nil)
	env.Get(t, secret)
	return secret
}

// revision is how often a Certificate had been issued at the last read.
func revision(certificate *cmapi.Certificate) int {
	if certificate.Status.Revision == nil {
		return 0
	}
	return *certificate.Status.Revision
}

// change updates a Certificate and retries conflicts.
func change(t *testing.T, certificate *cmapi.Certificate, edit func()) {
	t.Helper()
	env.Eventually(t, "changing "+certificate.Name, func(ctx context.Context) error {
		env.Get(t, certificate)
		edit()
		if err := env.Client.Update(ctx, certificate); err != nil {
			return err
		}
		return nil
	})
}

// renew renews a Certificate like "cmctl renew".
func renew(t *testing.T, certificate *cmapi.Certificate) {
	t.Helper()
	env.Eventually(t, "renewing "+certificate.Name, func(ctx context.Context) error {
		env.Get(t, certificate)
		cmutil.SetCertificateCondition(certificate, certificate.Generation, cmapi.CertificateConditionIssuing, cmmeta.ConditionTrue, "ManuallyTriggered", "by a test")
		if err := env.Client.Status().Update(ctx, certificate); err != nil {
			return err
		}
		return nil
	})
}

func TestCertificateKeyAlgorithms(t *testing.T) {
	for _, test := range []struct {
		algorithm cmapi.PrivateKeyAlgorithm
		size      int
		signature x509.SignatureAlgorithm
	}{
		{cmapi.RSAKeyAlgorithm, 2048, x509.SHA256WithRSA},
		{cmapi.RSAKeyAlgorithm, 3072, x509.SHA384WithRSA},
		{cmapi.RSAKeyAlgorithm, 4096, x509.SHA512WithRSA},
		{cmapi.RSAKeyAlgorithm, 8192, x509.SHA512WithRSA},
		{cmapi.ECDSAKeyAlgorithm, 256, x509.ECDSAWithSHA256},
		{cmapi.ECDSAKeyAlgorithm, 384, x509.ECDSAWithSHA384},
		{cmapi.ECDSAKeyAlgorithm, 521, x509.ECDSAWithSHA512},
		{cmapi.Ed25519KeyAlgorithm, 0, x509.PureEd25519},
	} {
		for _, encoding := range []cmapi.PrivateKeyEncoding{cmapi.PKCS1, cmapi.PKCS8} {
			if test.size == 8192 && encoding == cmapi.PKCS8 {
				continue // such keys are slow to generate, and the encoding does not matter
			}
			t.Run(fmt.Sprintf("%s-%d-%s", test.algorithm, test.size, encoding), func(t *testing.T) {
				t.Parallel()
				certificate := newCertificate(newNamespace(t))
				certificate.Spec.PrivateKey = &cmapi.CertificatePrivateKey{Algorithm: test.algorithm, Size: test.size, Encoding: encoding}
				env.Create(t, certificate)
				got, _ := awaitIssued(t, certificate)
				if got.SignatureAlgorithm != test.signature {
					t.Errorf("signed with %s, want %s", got.SignatureAlgorithm, test.signature)
				}
			})
		}
	}
}

func TestCertificateLife(t *testing.T) {
	t.Parallel()
	certificate := newCertificate(newNamespace(t))
	env.Create(t, certificate)
	first, _ := awaitIssued(t, certificate)

	renew(t, certificate) // with a new key
	second, _ := awaitIssued(t, certificate)
	if bytes.Equal(first.SubjectKeyId, second.SubjectKeyId) {
		t.Error("rotationPolicy Always kept the key")
	}

	change(t, certificate, func() { certificate.Spec.PrivateKey.RotationPolicy = cmapi.RotationPolicyNever })
	renew(t, certificate) // with the same key
	third, secret := awaitIssued(t, certificate)
	if !bytes.Equal(second.SubjectKeyId, third.SubjectKeyId) || second.SerialNumber.Cmp(third.SerialNumber) == 0 {
		t.Error("rotationPolicy Never: want the same key and another serial number")
	}

	change(t, certificate, func() { certificate.Spec.DNSNames = []string{"example.com", "www.example.com"} })
	fourth, _ := awaitIssued(t, certificate)
	if !slices.Equal(fourth.DNSNames, []string{"example.com", "www.example.com"}) {
		t.Errorf("DNS names %q after the change", fourth.DNSNames)
	}

	if err := env.Client.Delete(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	awaitIssued(t, certificate)
}

// TestSwitchOfIssuer switches from the in-tree issuer to ours and back, with the same key.
func TestSwitchOfIssuer(t *testing.T) {
	t.Parallel()
	namespace := newNamespace(t)
	env.Create(t, inTreeIssuer(namespace, "in-tree", cmapi.IssuerConfig{SelfSigned: &cmapi.SelfSignedIssuer{}}))
	inTree := inTreeRef("in-tree")
	certificate := newCertificate(namespace)
	ours := certificate.Spec.IssuerRef
	certificate.Spec.IsCA = true
	certificate.Spec.PrivateKey.RotationPolicy = cmapi.RotationPolicyNever
	certificate.Spec.IssuerRef = inTree
	env.Create(t, certificate)
	first, _ := awaitIssued(t, certificate)
	change(t, certificate, func() { certificate.Spec.IssuerRef = ours })
	second, _ := awaitIssued(t, certificate)
	change(t, certificate, func() { certificate.Spec.IssuerRef = inTree })
	third, _ := awaitIssued(t, certificate)
	for _, other := range []*x509.Certificate{second, third} {
		if !bytes.Equal(first.SubjectKeyId, other.SubjectKeyId) {
			t.Errorf("the subject key identifier changed from %X to %X", first.SubjectKeyId, other.SubjectKeyId)
		}
	}
	if second.SerialNumber.Cmp(first.SerialNumber) == 0 {
		t.Error("no new certificate after the switch")
	}
}

// TestCertificateFields sets the common fields of a Certificate.
func TestCertificateFields(t *testing.T) {
	t.Parallel()
	certificate := newCertificate(newNamespace(t))
	certificate.Spec.IsCA = true
	certificate.Spec.Duration = &metav1.Duration{Duration: 1000 * time.Hour}
	certificate.Spec.URIs = []string{"spiffe://example.com/a"}
	certificate.Spec.IPAddresses = []string{"192.0.2.1"}
	certificate.Spec.EmailAddresses = []string{"a@example.com"}
	certificate.Spec.Usages = []cmapi.KeyUsage{cmapi.UsageCertSign, cmapi.UsageCRLSign, cmapi.UsageServerAuth, cmapi.UsageClientAuth}
	certificate.Spec.Subject = &cmapi.X509Subject{Organizations: []string{"Example"}, Countries: []string{"DE"}}
	env.Create(t, certificate)
	got, _ := awaitIssued(t, certificate)
	if duration := got.NotAfter.Sub(got.NotBefore); duration != 1000*time.Hour {
		t.Errorf("valid for %s, want 1000h", duration)
	}
	if want := "CN=example.com,O=Example,C=DE"; got.Subject.String() != want || got.Issuer.String() != want {
		t.Errorf("subject %s and issuer %s, want %s", got.Subject, got.Issuer, want)
	}
	if got.URIs[0].String() != "spiffe://example.com/a" || got.IPAddresses[0].String() != "192.0.2.1" || got.EmailAddresses[0] != "a@example.com" {
		t.Errorf("URI %s, IP %s, email %s", got.URIs, got.IPAddresses, got.EmailAddresses)
	}
	if !got.IsCA || got.KeyUsage != x509.KeyUsageCertSign|x509.KeyUsageCRLSign {
		t.Errorf("CA %t, key usage %b", got.IsCA, got.KeyUsage)
	}
	if !slices.Equal(got.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}) {
		t.Errorf("extended key usages %v", got.ExtKeyUsage)
	}
}

// TestCertificateExtras sets the uncommon fields of a Certificate.
func TestCertificateExtras(t *testing.T) {
	t.Parallel()
	namespace := newNamespace(t)
	env.Create(t, keySecret(namespace, "password", map[string][]byte{"password": []byte("changeit")}))
	certificate := newCertificate(namespace)
	certificate.Spec.CommonName = ""
	certificate.Spec.LiteralSubject = "CN=example.com,OU=B+OU=A,DC=example,DC=com"
	certificate.Spec.IsCA = true
	certificate.Spec.NameConstraints = &cmapi.NameConstraints{Critical: true, Permitted: &cmapi.NameConstraintItem{DNSDomains: []string{"example.com"}}}
	certificate.Spec.OtherNames = []cmapi.OtherName{{OID: "1.3.6.1.4.1.311.20.2.3", UTF8Value: "upn@example.com"}}
	certificate.Spec.AdditionalOutputFormats = []cmapi.CertificateAdditionalOutputFormat{{Type: "CombinedPEM"}, {Type: "DER"}}
	certificate.Spec.Keystores = &cmapi.CertificateKeystores{
		JKS:    &cmapi.JKSKeystore{Create: true, PasswordSecretRef: cmmeta.SecretKeySelector{LocalObjectReference: cmmeta.LocalObjectReference{Name: "password"}, Key: "password"}},
		PKCS12: &cmapi.PKCS12Keystore{Create: true, PasswordSecretRef: cmmeta.SecretKeySelector{LocalObjectReference: cmmeta.LocalObjectReference{Name: "password"}, Key: "password"}},
	}
	env.Create(t, certificate)
	got, secret := awaitIssued(t, certificate)

	csr, _ := pem.Decode(requestOf(t, certificate).Spec.Request)
	request, err := x509.ParseCertificateRequest(csr.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.RawSubject, request.RawSubject) || !bytes.Equal(got.RawIssuer, request.RawSubject) {
		t.Errorf("subject %X and issuer %X, want the request's %X", got.RawSubject, got.RawIssuer, request.RawSubject)
	}
	if !slices.Equal(got.PermittedDNSDomains, []string{"example.com"}) || !got.PermittedDNSDomainsCritical {
		t.Errorf("name constraints %q, critical %t", got.PermittedDNSDomains, got.PermittedDNSDomainsCritical)
	}
	if want := extension(request.Extensions, 17); !bytes.Equal(extension(got.Extensions, 17), want) || !bytes.Contains(want, []byte("upn@example.com")) {
		t.Errorf("subject alternative names %X, want the request's %X", extension(got.Extensions, 17), want)
	}
	for _, name := range []string{"tls-combined.pem", "key.der", "keystore.jks", "truststore.jks", "keystore.p12", "truststore.p12"} {
		if len(secret.Data[name]) == 0 {
			t.Errorf("the Secret has no %s", name)
		}
	}
}

// requestOf returns the CertificateRequest of a Certificate's current revision.
func requestOf(t *testing.T, certificate *cmapi.Certificate) *cmapi.CertificateRequest {
	t.Helper()
	var list cmapi.CertificateRequestList
	if err := env.Client.List(t.Context(), &list, client.InNamespace(certificate.Namespace)); err != nil {
		t.Fatal(err)
	}
	want := strconv.Itoa(max(1, revision(certificate))) // 0 if the first one failed
	requests := slices.DeleteFunc(list.Items, func(request cmapi.CertificateRequest) bool {
		return !metav1.IsControlledBy(&request, certificate) || request.Annotations[cmapi.CertificateRequestRevisionAnnotationKey] != want
	})
	if len(requests) != 1 {
		t.Fatalf("%d requests of revision %s", len(requests), want)
	}
	return &requests[0]
}

// extension returns the value of the extension with the OID 2.5.29.last.
func extension(extensions []pkix.Extension, last int) []byte {
	for _, extension := range extensions {
		if extension.Id.Equal(asn1.ObjectIdentifier{2, 5, 29, last}) {
			return extension.Value
		}
	}
	return nil
}

// TestKeySwappedDuringIssuance replaces the key of a request that waits for its issuer. The in-tree
// issuer fails such a request, and cert-manager retries after an hour.
func TestKeySwappedDuringIssuance(t *testing.T) {
	t.Parallel()
	certificate := newCertificate(newNamespace(t))
	certificate.Spec.IssuerRef.Name = "later"
	env.Create(t, certificate)
	env.Eventually(t, "the Secret with the next private key", func(context.Context) error {
		env.Get(t, certificate)
		if certificate.Status.NextPrivateKeySecretName == nil {
			return errors.New("not named yet")
		}
		var list cmapi.CertificateRequestList
		if err := env.Client.List(t.Context(), &list, client.InNamespace(certificate.Namespace)); err != nil || len(list.Items) == 0 {
			return fmt.Errorf("%d requests, %s", len(list.Items), fmt.Sprint(err))
		}
		return nil
	})
	secret := keySecret(certificate.Namespace, *certificate.Status.NextPrivateKeySecretName, nil)
	env.Get(t, secret)
	secret.Data["tls.key"] = keyPEM(t, newKey(t))
	if err := env.Client.Update(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	env.Create(t, newIssuer(certificate.Namespace, "later"))
	awaitIssued(t, certificate) // with no failed attempt
}

// TestEmptySubject expects the warning in cert-manager's documentation.
func TestEmptySubject(t *testing.T) {
	t.Parallel()
	certificate := newCertificate(newNamespace(t))
	certificate.Spec.CommonName = ""
	env.Create(t, certificate)
	got, _ := awaitIssued(t, certificate)
	if got.Issuer.String() != "" {
		t.Errorf("issuer %s, want none", got.Issuer)
	}
	request := requestOf(t, certificate)
	awaitEvent(t, request, corev1.EventTypeWarning, "BadConfig", "subject")
	checkEvents(t, request, "CertificateIssued", "BadConfig")
}
