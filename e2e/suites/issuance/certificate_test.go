// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package issuance_test

import (
	"bytes"
	"cmp"
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	cmutil "github.com/cert-manager/cert-manager/pkg/api/util"
	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	"github.com/cert-manager/cert-manager/pkg/util/pki"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	selfsigned "github.com/cert-manager/selfsigned-issuer/api/v1alpha1"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/certtext"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
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
	expect.True(t, bytes.Equal(secret.Data["ca.crt"], secret.Data["tls.crt"]), "ca.crt is not the certificate itself")
	return mustParse(t, secret.Data["tls.crt"]), secret
}

// awaitSecret is awaitIssued for any issuer.
func awaitSecret(t *testing.T, certificate *cmapi.Certificate) *corev1.Secret {
	t.Helper()
	before := revision(certificate)
	env.Await(t, fmt.Sprintf("a revision of %s after %d", certificate.Name, before), certificate, func() bool {
		cleanedUp := certificate.Status.NextPrivateKeySecretName == nil // otherwise the next renewal has the same key
		return isTrue(certificate, cmapi.CertificateConditionReady) && cleanedUp &&
			!isTrue(certificate, cmapi.CertificateConditionIssuing) && revision(certificate) > before
	})
	expect.True(t, certificate.Status.FailedIssuanceAttempts == nil, "an attempt has failed: %+v", certificate.Status)
	secret := keySecret(certificate.Namespace, certificate.Spec.SecretName, nil)
	env.Get(t, secret)
	return secret
}

// revision is how often a Certificate had been issued at the last read.
func revision(certificate *cmapi.Certificate) int {
	return *cmp.Or(certificate.Status.Revision, new(int))
}

func isTrue(certificate *cmapi.Certificate, condition cmapi.CertificateConditionType) bool {
	return cmutil.CertificateHasCondition(certificate, cmapi.CertificateCondition{Type: condition, Status: cmmeta.ConditionTrue})
}

// TestCertificateKeyAlgorithms is without RSA 8192, which is slow to generate: see TestMatrix in x509.
func TestCertificateKeyAlgorithms(t *testing.T) {
	for _, test := range []struct {
		algorithm cmapi.PrivateKeyAlgorithm
		size      int
		signature x509.SignatureAlgorithm
	}{
		{cmapi.RSAKeyAlgorithm, 2048, x509.SHA256WithRSA},
		{cmapi.RSAKeyAlgorithm, 3072, x509.SHA384WithRSA},
		{cmapi.RSAKeyAlgorithm, 4096, x509.SHA512WithRSA},
		{cmapi.ECDSAKeyAlgorithm, 256, x509.ECDSAWithSHA256},
		{cmapi.ECDSAKeyAlgorithm, 384, x509.ECDSAWithSHA384},
		{cmapi.ECDSAKeyAlgorithm, 521, x509.ECDSAWithSHA512},
		{cmapi.Ed25519KeyAlgorithm, 0, x509.PureEd25519},
	} {
		for _, encoding := range []cmapi.PrivateKeyEncoding{cmapi.PKCS1, cmapi.PKCS8} {
			t.Run(fmt.Sprintf("%s-%d-%s", test.algorithm, test.size, encoding), func(t *testing.T) {
				t.Parallel()
				certificate := newCertificate(newNamespace(t))
				certificate.Spec.PrivateKey = &cmapi.CertificatePrivateKey{Algorithm: test.algorithm, Size: test.size, Encoding: encoding}
				env.Create(t, certificate)
				got, _ := awaitIssued(t, certificate)
				expect.True(t, got.SignatureAlgorithm == test.signature,
					"signed with %s, want %s", got.SignatureAlgorithm, test.signature)
			})
		}
	}
}

func TestCertificateLife(t *testing.T) {
	t.Parallel()
	certificate := newCertificate(newNamespace(t))
	env.Create(t, certificate)
	first, _ := awaitIssued(t, certificate)

	env.Renew(t, certificate) // with a new key
	second, _ := awaitIssued(t, certificate)
	expect.True(t, !bytes.Equal(first.SubjectKeyId, second.SubjectKeyId), "rotationPolicy Always kept the key")

	env.Change(t, certificate, func() { certificate.Spec.PrivateKey.RotationPolicy = cmapi.RotationPolicyNever })
	env.Renew(t, certificate) // with the same key
	third, secret := awaitIssued(t, certificate)
	expect.True(t, bytes.Equal(second.SubjectKeyId, third.SubjectKeyId) && second.SerialNumber.Cmp(third.SerialNumber) != 0,
		"rotationPolicy Never: want the same key and another serial number")

	env.Change(t, certificate, func() { certificate.Spec.DNSNames = []string{"example.com", "www.example.com"} })
	fourth, _ := awaitIssued(t, certificate)
	if !slices.Equal(fourth.DNSNames, []string{"example.com", "www.example.com"}) {
		t.Errorf("DNS names %q after the change", fourth.DNSNames)
	}

	env.Delete(t, secret)
	awaitIssued(t, certificate)
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
	expect.Equal(t, "validity", 1000*time.Hour, got.NotAfter.Sub(got.NotBefore))
	expect.Equal(t, "subject", "CN=example.com,O=Example,C=DE", got.Subject.String())
	expect.Equal(t, "issuer", "CN=example.com,O=Example,C=DE", got.Issuer.String())
	expect.True(t, got.URIs[0].String() == "spiffe://example.com/a" && got.IPAddresses[0].String() == "192.0.2.1" && got.EmailAddresses[0] == "a@example.com",
		"URI %s, IP %s, email %s", got.URIs, got.IPAddresses, got.EmailAddresses)
	expect.True(t, got.IsCA && got.KeyUsage == x509.KeyUsageCertSign|x509.KeyUsageCRLSign,
		"CA %t, key usage %b", got.IsCA, got.KeyUsage)
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
	password := cmmeta.SecretKeySelector{Key: "password", LocalObjectReference: cmmeta.LocalObjectReference{Name: "password"}}
	certificate.Spec.Keystores = &cmapi.CertificateKeystores{
		JKS:    &cmapi.JKSKeystore{Create: true, PasswordSecretRef: password},
		PKCS12: &cmapi.PKCS12Keystore{Create: true, PasswordSecretRef: password},
	}
	env.Create(t, certificate)
	got, secret := awaitIssued(t, certificate)

	request, err := pki.DecodeX509CertificateRequestBytes(requestOf(t, certificate).Spec.Request)
	expect.NoError(t, err)
	expect.True(t, bytes.Equal(got.RawSubject, request.RawSubject) && bytes.Equal(got.RawIssuer, request.RawSubject),
		"subject %X and issuer %X, want the request's %X", got.RawSubject, got.RawIssuer, request.RawSubject)
	if !slices.Equal(got.PermittedDNSDomains, []string{"example.com"}) || !got.PermittedDNSDomainsCritical {
		t.Errorf("name constraints %q, critical %t", got.PermittedDNSDomains, got.PermittedDNSDomainsCritical)
	}
	names, want := extension(got.Extensions, 17).Value, extension(request.Extensions, 17).Value
	expect.True(t, bytes.Equal(names, want) && bytes.Contains(want, []byte("upn@example.com")),
		"subject alternative names %X, want the request's %X", names, want)
	for _, name := range []string{"tls-combined.pem", "key.der", "keystore.jks", "truststore.jks", "keystore.p12", "truststore.p12"} {
		expect.True(t, len(secret.Data[name]) > 0, "the Secret has no %s", name)
	}
}

// requestOf returns the CertificateRequest of a Certificate's current revision.
func requestOf(t *testing.T, certificate *cmapi.Certificate) *cmapi.CertificateRequest {
	t.Helper()
	var list cmapi.CertificateRequestList
	env.List(t, &list, client.InNamespace(certificate.Namespace))
	want := strconv.Itoa(max(1, revision(certificate))) // 0 if the first one failed
	requests := slices.DeleteFunc(list.Items, func(request cmapi.CertificateRequest) bool {
		return !metav1.IsControlledBy(&request, certificate) || request.Annotations[cmapi.CertificateRequestRevisionAnnotationKey] != want
	})
	if len(requests) != 1 {
		t.Fatalf("%d requests of revision %s", len(requests), want)
	}
	return &requests[0]
}

// extension returns the extension with the OID 2.5.29.last.
func extension(extensions []pkix.Extension, last int) pkix.Extension {
	i := slices.IndexFunc(extensions, func(e pkix.Extension) bool {
		return e.Id.Equal(asn1.ObjectIdentifier{2, 5, 29, last})
	})
	if i < 0 {
		return pkix.Extension{}
	}
	return extensions[i]
}

// TestKeySwappedDuringIssuance replaces the key of a request that waits for its issuer. The in-tree
// issuer fails such a request, and cert-manager retries after an hour.
func TestKeySwappedDuringIssuance(t *testing.T) {
	t.Parallel()
	certificate := newCertificate(newNamespace(t))
	certificate.Spec.IssuerRef.Name = "later"
	env.Create(t, certificate)
	onlyRequest(t, certificate.Namespace)
	env.Await(t, "the name of the Secret with the next private key", certificate, func() bool {
		return certificate.Status.NextPrivateKeySecretName != nil
	})
	secret := keySecret(certificate.Namespace, *certificate.Status.NextPrivateKeySecretName, nil)
	env.Get(t, secret)
	secret.Data["tls.key"] = keyPEM(t, newKey(t))
	env.Update(t, secret)
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
	expect.True(t, got.Issuer.String() == "", "issuer %s, want none", got.Issuer)
	request := requestOf(t, certificate)
	awaitEvent(t, request, corev1.EventTypeWarning, "BadConfig", "subject")
	checkEvents(t, request, "CertificateIssued", "BadConfig")
}

// TestRestoredRequest restores a Certificate and its request like a backup tool, without status and
// owner. cert-manager approves the request, but does not use it, and cannot create another one
// until it is deleted, as the message says.
func TestRestoredRequest(t *testing.T) {
	t.Parallel()
	certificate := newCertificate(newNamespace(t))
	env.Create(t, certificate)
	awaitIssued(t, certificate)
	request := requestOf(t, certificate)
	expect.True(t, len(request.OwnerReferences) > 0, "a Certificate's request has no owner, like a restored one")
	env.Delete(t, certificate)
	env.Delete(t, request)
	restored := &cmapi.CertificateRequest{Spec: request.Spec}
	restored.Namespace, restored.Name, restored.Annotations = request.Namespace, request.Name, request.Annotations
	env.Create(t, restored)
	secret := restored.Annotations[cmapi.CertificateRequestPrivateKeyAnnotationKey]
	awaitPending(t, restored, "Warning", "MissingOwner", "Secret "+restored.Namespace+"/"+secret, "CertificateRequest")
	count := metric(t, `selfsigned_issuer_requests_waiting{kind="CertificateRequest",reason="MissingOwner"}`)
	expect.True(t, count >= 1, "%v requests are counted as without an owner", count)

	certificate = newCertificate(certificate.Namespace)
	env.Create(t, certificate)
	env.Renew(t, certificate)
	awaitBlocked(t, certificate)
	env.Delete(t, restored)
	awaitIssued(t, certificate)
}

// awaitBlocked waits until cert-manager reports that a request with this name exists.
func awaitBlocked(t *testing.T, certificate *cmapi.Certificate) {
	t.Helper()
	env.Eventually(t, "cert-manager's event about the restored request", func(context.Context) error {
		var list corev1.EventList
		env.List(t, &list, client.InNamespace(certificate.Namespace))
		for _, event := range list.Items {
			if event.InvolvedObject.UID == certificate.UID && strings.HasSuffix(event.Message, "already exists") {
				return nil
			}
		}
		return errors.New("there is none")
	})
}

// TestLeavesOutliveTheirRoot issues a root with the in-tree issuer, switches to ours, renews it, and
// switches back, with the same key. Clients that trust any of these roots trust all leaves, earlier and later.
func TestLeavesOutliveTheirRoot(t *testing.T) {
	t.Parallel()
	namespace := newNamespace(t)
	env.Create(t, inTreeIssuer(namespace, "in-tree", cmapi.IssuerConfig{SelfSigned: &cmapi.SelfSignedIssuer{}}))
	env.Create(t, inTreeIssuer(namespace, "ca", cmapi.IssuerConfig{CA: &cmapi.CAIssuer{SecretName: "tls"}}))
	root := newCertificate(namespace)
	ours := root.Spec.IssuerRef
	root.Spec.IsCA, root.Spec.CommonName, root.Spec.DNSNames = true, "root", nil
	root.Spec.PrivateKey.RotationPolicy = cmapi.RotationPolicyNever
	root.Spec.IssuerRef = inTreeRef("in-tree")
	env.Create(t, root)

	roots, leaves := map[string]*x509.Certificate{}, map[string]*x509.Certificate{}
	roots["in-tree"], _ = awaitIssued(t, root)
	leaves["of the in-tree root"] = issueLeaf(t, namespace, "first")

	env.Change(t, root, func() { root.Spec.IssuerRef = ours })
	roots["ours"], _ = awaitIssued(t, root)
	leaves["of our root"] = issueLeaf(t, namespace, "second")

	env.Renew(t, root)
	roots["renewed"], _ = awaitIssued(t, root)

	env.Change(t, root, func() { root.Spec.IssuerRef = inTreeRef("in-tree") })
	roots["in-tree again"], _ = awaitIssued(t, root)

	expect.True(t, roots["ours"].SerialNumber.Cmp(roots["in-tree"].SerialNumber) != 0,
		"no new certificate after the switch")
	for rootName, root := range roots {
		expect.Equal(t, rootName+": subject key identifier", roots["in-tree"].SubjectKeyId, root.SubjectKeyId)
		for leafName, leaf := range leaves {
			name := fmt.Sprintf("leaf %s by the %s root", leafName, rootName)
			pool := x509.NewCertPool()
			pool.AddCert(root)
			if _, err := leaf.Verify(x509.VerifyOptions{Roots: pool, DNSName: "leaf.example.com"}); err != nil {
				t.Errorf("%s: Go does not verify it: %v", name, err)
			}
			verifyWithOpenSSL(t, name, leaf, root)
		}
	}
}

func inTreeIssuer(namespace, name string, config cmapi.IssuerConfig) *cmapi.Issuer {
	return &cmapi.Issuer{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       cmapi.IssuerSpec{IssuerConfig: config},
	}
}

func inTreeRef(name string) cmmeta.IssuerReference {
	return cmmeta.IssuerReference{Group: "cert-manager.io", Kind: "Issuer", Name: name}
}

// issueLeaf issues a leaf from cert-manager's CA issuer "ca".
func issueLeaf(t *testing.T, namespace, name string) *x509.Certificate {
	t.Helper()
	leaf := newCertificate(namespace)
	leaf.Name, leaf.Spec.SecretName = name, name
	leaf.Spec.CommonName, leaf.Spec.DNSNames = "", []string{"leaf.example.com"}
	leaf.Spec.IssuerRef = inTreeRef("ca")
	env.Create(t, leaf)
	certificate, err := certtext.Parse(awaitSecret(t, leaf).Data["tls.crt"])
	expect.NoError(t, err)
	return certificate
}

// verifyWithOpenSSL verifies with the option -x509_strict of openssl, if the command exists.
func verifyWithOpenSSL(t *testing.T, name string, leaf, root *x509.Certificate) {
	t.Helper()
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Logf("%s: not verified with OpenSSL: %v", name, err)
		return
	}
	leafFile, rootFile := t.TempDir()+"/leaf.pem", t.TempDir()+"/root.pem"
	for file, certificate := range map[string]*x509.Certificate{leafFile: leaf, rootFile: root} {
		encoded, err := pki.EncodeX509(certificate)
		expect.NoError(t, err)
		expect.NoError(t, os.WriteFile(file, encoded, 0o600))
	}
	command := exec.CommandContext(t.Context(), openssl, "verify", "-x509_strict",
		"-no-CApath", "-no-CAstore", "-CAfile", rootFile, leafFile)
	if output, err := command.CombinedOutput(); err != nil {
		t.Errorf("%s: openssl does not verify it: %v\n%s", name, err, output)
	}
}
