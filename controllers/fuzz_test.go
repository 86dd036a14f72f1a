// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	selfsigned "github.com/cert-manager/selfsigned-issuer/api/v1alpha1"
	"github.com/cert-manager/selfsigned-issuer/controllers/internal/outcome"
	"github.com/cert-manager/selfsigned-issuer/controllers/internal/request"
	"github.com/cert-manager/selfsigned-issuer/controllers/internal/testsupport"
)

// No object may cause a panic or give access to objects that the rules do not allow. The signer's
// tests fuzz spec.request and private keys.

// oneSecret is an API server that returns the same Secret for each name.
type oneSecret struct {
	client.Reader
	data []byte
}

func (o oneSecret) Get(_ context.Context, _ client.ObjectKey, object client.Object, _ ...client.GetOption) error {
	object.(*corev1.Secret).Data = map[string][]byte{"tls.key": o.data}
	return nil
}

func fuzzKey(f *testing.F) crypto.Signer {
	f.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	return key
}

// FuzzSignerName parses the signer name of Kubernetes CSRs, which determines one issuer and one
// namespace of Secrets.
func FuzzSignerName(f *testing.F) {
	for _, name := range []string{
		"selfsignedissuers.selfsigned.cert-manager.io/sandbox.issuer", "selfsignedissuers.selfsigned.cert-manager.io/a.b.c",
		"clusterselfsignedissuers.selfsigned.cert-manager.io/issuer", "clusterselfsignedissuers.selfsigned.cert-manager.io/a.b",
		"selfsignedissuers.selfsigned.cert-manager.io/.", "selfsignedissuers.selfsigned.cert-manager.io//a.b", "/", "",
	} {
		f.Add(name, "key")
	}
	f.Fuzz(func(t *testing.T, name, secret string) {
		csr := &certificatesv1.CertificateSigningRequest{Spec: certificatesv1.CertificateSigningRequestSpec{SignerName: name}}
		r := request.CertificateSigningRequests("cluster-resources", request.AccessReviewer{}).Wrap(csr)
		csr.Annotations = map[string]string{r.KeyAnnotation(): secret}
		ref, ours := r.Issuer()
		if !ours {
			return
		}
		want, again := "cluster-resources", "clusterselfsignedissuers.selfsigned.cert-manager.io/"+ref.Key.Name
		if ref.Kind == request.IssuerKind {
			want, again = ref.Key.Namespace, "selfsignedissuers.selfsigned.cert-manager.io/"+ref.Key.Namespace+"."+ref.Key.Name
		}
		if got := r.KeySecret(); got.Namespace != want || got.Name != secret || want == "" || ref.Key.Name == "" {
			t.Errorf("%q leads to Secret %s and issuer %s", name, got, ref)
		}
		if again != name || strings.Contains(ref.Key.Namespace, ".") {
			t.Errorf("%q was read as %s", name, ref)
		}
	})
}

// FuzzMessage renders messages with any text.
func FuzzMessage(f *testing.F) {
	f.Add("100%d", "key\x00\xff", "{detail}{kind}")
	f.Add(strings.Repeat("ä", 1000), "\u202e\u2028", "a.b.")
	f.Fuzz(func(t *testing.T, detail, secret, user string) {
		for s, o := range outcome.Table {
			message := outcome.Args{"detail": detail, "secret": secret, "user": user, "issuer": secret}.Message(s)
			if !utf8.ValidString(message) || strings.ContainsFunc(message, func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Errorf("%s: not printable: %q", s, message)
			}
			if len(message) > len(o.Message)+6*400 {
				t.Errorf("%s: %d bytes", s, len(message))
			}
		}
		if text := outcome.Truncate(detail, 1024); len(text) > 1024 {
			t.Errorf("%d bytes", len(text))
		}
	})
}

// FuzzDuration checks the duration of Kubernetes CSRs, from the annotation and from the spec.
func FuzzDuration(f *testing.F) {
	for _, annotation := range []string{"1h", "599s", "600s", "-1h", "9999999h", "1e9h", "", "1h\x00", "٣h"} {
		f.Add(annotation, int32(600), annotation != "")
	}
	kind := request.CertificateSigningRequests("", request.AccessReviewer{})
	f.Fuzz(func(t *testing.T, annotation string, seconds int32, annotated bool) {
		csr := &certificatesv1.CertificateSigningRequest{Spec: certificatesv1.CertificateSigningRequestSpec{
			SignerName: "clusterselfsignedissuers.selfsigned.cert-manager.io/issuer", ExpirationSeconds: &seconds,
		}}
		if annotated {
			csr.Annotations = map[string]string{"experimental.cert-manager.io/request-duration": annotation}
		}
		if d := kind.Preflight(t.Context(), kind.Wrap(csr)); d != nil {
			return
		}
		wanted, err := time.ParseDuration(annotation)
		if !annotated {
			wanted, err = time.Duration(seconds)*time.Second, nil
		}
		if err != nil || wanted < request.MinimumDuration {
			t.Errorf("annotation %q (%t) and %d seconds were accepted", annotation, annotated, seconds)
		}
	})
}

// FuzzCertificateRequest reconciles a request with fields that only cert-manager's webhook
// validates.
func FuzzCertificateRequest(f *testing.F) {
	key := fuzzKey(f)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		f.Fatal(err)
	}
	secret := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: []string{"example.com"}}, key)
	if err != nil {
		f.Fatal(err)
	}
	good := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: csr})
	f.Add(good, "key", "digital signature,server auth", int64(time.Hour), false)
	f.Add(good, "100%d\x00", "", int64(-1), true)
	f.Add([]byte("-----BEGIN CERTIFICATE REQUEST-----"), "", "cert sign,any,\xff", int64(1)<<62, true)
	ends := []outcome.Reason{outcome.ReasonInvalidRequest, outcome.ReasonSecretNotFound, outcome.ReasonWaitingForMatchingKey, outcome.ReasonIssued, outcome.ReasonSigningError}
	f.Fuzz(func(t *testing.T, csr []byte, secretName, usages string, duration int64, isCA bool) {
		object := testsupport.ApprovedRequest(t, key, time.Now())
		object.Spec.Request, object.Spec.IsCA = csr, isCA
		object.Spec.Duration = &metav1.Duration{Duration: time.Duration(duration)}
		object.Annotations[cmapi.CertificateRequestPrivateKeyAnnotationKey] = secretName
		for usage := range strings.SplitSeq(usages, ",") {
			object.Spec.Usages = append(object.Spec.Usages, cmapi.KeyUsage(usage))
		}
		r := &attempt{request: request.CertificateRequests().Wrap(object), requestReconciler: &requestReconciler{
			kind: request.CertificateRequests(), keys: keyReader{live: oneSecret{data: secret}}, tracker: newPendingTracker(),
			clock: clocktesting.NewFakePassiveClock(time.Now()), gracePeriod: time.Minute,
		}}
		d := r.trySign(t.Context(), r.request.Details(), testsupport.ReadyIssuer())
		if !slices.Contains(ends, d.Reason) {
			t.Errorf("decision %s: %s", d.Reason, d.Detail)
		}
		if (d.Reason == outcome.ReasonIssued) != (len(d.Certificate.PEM) > 0) {
			t.Errorf("decision %s with the certificate %q", d.Reason, d.Certificate.PEM)
		}
		if got := r.request.KeySecret(); got.Namespace != object.Namespace {
			t.Errorf("Secret %s is in another namespace", got)
		}
	})
}

// FuzzIssuer signs with each spec that passes its check.
func FuzzIssuer(f *testing.F) {
	key := fuzzKey(f)
	f.Add("http://example.com/a.crl", "Fill", "ECDSAWithSHA256", "SHA1", int32(0), int64(time.Hour))
	f.Add("ldap:///CN=%zz", "", "FromRequest", "", int32(-1), int64(-1))
	f.Add("http://[::1%25eth0]/\x7f", "Reject", "SHA256WithRSA", "MD5", int32(1)<<30, int64(1)<<62)
	f.Fuzz(func(t *testing.T, point, subject, algorithm, identifier string, pathLength int32, backdate int64) {
		issuer := testsupport.ReadyIssuer()
		issuer.Spec = selfsigned.SelfSignedIssuerSpec{
			CRLDistributionPoints: []string{point},
			EmptySubject:          selfsigned.EmptySubjectPolicy(subject),
			SignatureAlgorithm:    selfsigned.SignatureAlgorithm(algorithm),
			SubjectKeyIdentifier:  selfsigned.SubjectKeyIdentifierMethod(identifier),
			MaxPathLength:         &pathLength,
			Backdate:              &metav1.Duration{Duration: time.Duration(backdate)},
		}
		if check(t.Context(), issuer) != nil {
			return
		}
		object := testsupport.ApprovedRequest(t, key, time.Now())
		r := &attempt{request: request.CertificateRequests().Wrap(object), requestReconciler: &requestReconciler{
			kind: request.CertificateRequests(), keys: keyReader{live: oneSecret{data: secretWith(t, key).Data["tls.key"]}}, tracker: newPendingTracker(),
			clock: clocktesting.NewFakePassiveClock(time.Now()), gracePeriod: time.Minute,
		}}
		d := r.trySign(t.Context(), r.request.Details(), issuer)
		fits := !strings.Contains(algorithm, "RSA") && algorithm != "PureEd25519" || strings.HasPrefix(algorithm, "ECDSA")
		if (d.Reason == outcome.ReasonIssued) != fits {
			t.Errorf("a spec that passed its check led to %s: %s", d.Reason, d.Detail)
		}
	})
}
