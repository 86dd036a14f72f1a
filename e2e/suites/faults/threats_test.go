// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	selfsigned "github.com/cert-manager/selfsigned-issuer/api/v1alpha1"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/certmanager"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/certtext"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/environment"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/faultproxy"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/issuer"
)

// The tests in this file prove the table of threats in SECURITY.md.

const clusterSigner = "clusterselfsignedissuers.selfsigned.cert-manager.io/"

// unchanged forwards a request, so that its rule counts it.
func unchanged(next http.Handler) http.Handler { return next }

// TestRequestReachesOwnNamespaceOnly names a Secret of another namespace in every way. It is not
// read, so messages and timing do not show whether it exists.
func TestRequestReachesOwnNamespaceOnly(t *testing.T) {
	proxy, proxied := startProxy(t)
	startReady(t, proxied)
	own, other := newNamespace(t, certmanager.DisableValidationLabel), newNamespace(t)
	own.awaitIssuer(t)
	theirs := other.newSigned(t, 0)
	expect.NoError(t, createOnce(t.Context(), theirs.secret))
	asked := proxy.Inject(faultproxy.On("", ".*/namespaces/"+other.namespace+"/secrets.*"), unchanged)

	secret := theirs.secret.Name
	for i, name := range []string{
		secret, other.namespace + "/" + secret, "../" + other.namespace + "/" + secret,
		"../../" + other.namespace + "/secrets/" + secret, "%2e%2e%2f" + other.namespace + "%2f" + secret,
	} {
		for j, kind := range []string{"SelfSignedIssuer", "ClusterSelfSignedIssuer"} {
			r := own.newSigned(t, 2*i+j)
			r.key = theirs.key
			request := r.object.(*cmapi.CertificateRequest)
			request.Spec.Request = encodeCSR(t, theirs.key, r.name)
			request.Spec.IssuerRef = cmmeta.IssuerReference{Group: selfsigned.GroupName, Kind: kind, Name: map[string]string{"SelfSignedIssuer": own.issuer, "ClusterSelfSignedIssuer": clusterIssuer}[kind]}
			request.Annotations[cmapi.CertificateRequestPrivateKeyAnnotationKey] = name
			r.secret, r.want = nil, waitsForSecret
			own.tracked = append(own.tracked, r)
		}
	}
	expect.NoError(t, own.create(t.Context(), 0))
	own.settle(t)
	for _, r := range own.tracked {
		name := r.object.GetAnnotations()[cmapi.CertificateRequestPrivateKeyAnnotationKey]
		awaitNote(t, r.object, "MissingSecret", "Secret "+own.namespace+"/"+name+" ")
	}
	expect.True(t, asked.Hits() == 0, "a Secret of another namespace was read %d times", asked.Hits())
}

// TestCopiedRequest shows a risk in SECURITY.md: a PKCS #10 request does not name its Certificate.
func TestCopiedRequest(t *testing.T) {
	startReady(t, env.Installation)
	b := newNamespace(t)
	theirs, copied := b.newSigned(t, 0), b.newSigned(t, 1)
	expect.NoError(t, createOnce(t.Context(), theirs.secret))
	request := copied.object.(*cmapi.CertificateRequest)
	request.Spec.Request, request.Spec.IsCA = encodeCSR(t, theirs.key, copied.name), true
	request.Annotations[cmapi.CertificateRequestPrivateKeyAnnotationKey] = theirs.secret.Name
	copied.key, copied.secret = theirs.key, nil
	b.tracked = append(b.tracked, copied)
	expect.NoError(t, b.create(t.Context(), 0))
	b.settle(t)
	certificate, err := certtext.Parse(certificateOf(copied.object))
	expect.True(t, err == nil && certificate.IsCA, "not signed for a CA: %v", err)
}

// TestCSRReachesNamespaceOfRules expects that a CSR for a cluster issuer reaches only the cluster
// resource namespace, and that a CSR for a namespaced issuer without permission shows nothing to
// its author.
func TestCSRReachesNamespaceOfRules(t *testing.T) {
	proxy, proxied := startProxy(t)
	startReady(t, proxied)
	b := newNamespace(t)
	b.awaitIssuer(t)
	theirs := b.newSigned(t, 0)
	expect.NoError(t, createOnce(t.Context(), theirs.secret))
	asked := proxy.Inject(faultproxy.On("", ".*/namespaces/"+b.namespace+"/secrets.*"), unchanged)

	csr := newCSR(t, b, clusterSigner+clusterIssuer, theirs.secret.Name, theirs)
	createApproved(t, env.Client, csr)
	awaitNote(t, csr, "MissingSecret", "Secret cert-manager/"+theirs.secret.Name+" ")

	// Mallory may not use the issuer: whether it and the Secret exist makes no difference.
	grantCSRs(t, "mallory")
	mallory, err := environment.ClientAs(env.ControlPlane.AdminConfig(), "mallory")
	expect.NoError(t, err)
	for _, issuer := range []string{b.issuer, "missing"} {
		for _, secret := range []string{theirs.secret.Name, "missing"} {
			csr := newCSR(t, b, namespacedSigner+b.namespace+"."+issuer, secret, theirs)
			createApproved(t, mallory, csr)
			awaitNote(t, csr, "DeniedReference", fmt.Sprintf("SelfSignedIssuer %s/%s", b.namespace, issuer))
		}
	}
	expect.True(t, asked.Hits() == 0, "a Secret that no author may use was read %d times", asked.Hits())
}

// TestCSRChangedAfterApproval shows that the annotations at signing time apply, and that later
// changes have no effect.
func TestCSRChangedAfterApproval(t *testing.T) {
	startReady(t, env.Installation)
	b := newNamespace(t)
	theirs := b.newSigned(t, 0)
	csr := newCSR(t, b, namespacedSigner+b.namespace+"."+b.issuer, theirs.secret.Name, theirs)
	csr.Spec.Usages = append(csr.Spec.Usages, certificatesv1.UsageCertSign)
	createApproved(t, env.Client, csr)
	awaitNote(t, csr, "MissingSecret", "Secret ")
	annotate(t, csr, map[string]string{
		"experimental.cert-manager.io/request-is-ca":    "true",
		"experimental.cert-manager.io/request-duration": "12345h",
	})
	expect.NoError(t, createOnce(t.Context(), theirs.secret))
	awaitNote(t, csr, "CertificateIssued", "Secret ")
	env.Get(t, csr)
	certificate, err := certtext.Parse(csr.Status.Certificate)
	expect.NoError(t, err)
	if duration := certificate.NotAfter.Sub(certificate.NotBefore); !certificate.IsCA || duration != 12345*time.Hour {
		t.Errorf("signed for a CA: %t, for %s; want the annotations at signing time", certificate.IsCA, duration)
	}
	annotate(t, csr, map[string]string{"experimental.cert-manager.io/request-is-ca": "false"})
	passBy(t, b)
	env.Get(t, csr)
	expect.True(t, !certificates.differs(csr), "a change after signing led to another certificate")
}

// TestServingSecretAsKey names Secrets of servers: selfsigned-issuer's namespace cannot be reached,
// and in the cluster resource namespace a key signs only requests made with it. The author learns
// that the key is another one.
func TestServingSecretAsKey(t *testing.T) {
	startReady(t, env.Installation)
	b := newNamespace(t)
	theirs, mine := b.newSigned(t, 0), b.newSigned(t, 1)
	for _, namespace := range []string{env.Installation.Deployment.Namespace, "cert-manager"} {
		serving := &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "serving-" + namespace},
			Type:       corev1.SecretTypeTLS,
			Data:       map[string][]byte{"tls.key": theirs.secret.Data["tls.key"], "tls.crt": nil},
		}
		expect.NoError(t, createOnce(t.Context(), serving))
		csr := newCSR(t, b, clusterSigner+clusterIssuer, serving.Name, mine)
		createApproved(t, env.Client, csr)
		if namespace == "cert-manager" {
			awaitNote(t, csr, "WaitingForMatchingKey", "Secret cert-manager/"+serving.Name+" ")
		} else {
			awaitNote(t, csr, "MissingSecret", "Secret cert-manager/"+serving.Name+" ")
		}
	}
}

// TestNoDebugEndpoints expects no profiling or debug endpoints.
func TestNoDebugEndpoints(t *testing.T) {
	p := startReady(t, env.Installation)
	for _, address := range []string{p.HealthURL, p.MetricsURL} {
		for _, path := range []string{"/debug/pprof/", "/debug/pprof/heap", "/debug/pprof/cmdline", "/debug/vars", "/debug/flags/v", "/configz"} {
			if status, body := issuer.Get(t.Context(), address+path); status != http.StatusNotFound {
				t.Errorf("%s answers %d: %.100s", path, status, body)
			}
		}
	}
}

func newCSR(t *testing.T, b *burst, signerName, secret string, r *tracked) *certificatesv1.CertificateSigningRequest {
	t.Helper()
	csr := b.signingRequest(t, r)
	csr.Name, csr.GenerateName = "", b.namespace+"-"
	csr.Annotations[csrKeyAnnotation], csr.Spec.SignerName = secret, signerName
	return csr
}

// createApproved creates a CSR as author, and approves it as administrator.
func createApproved(t *testing.T, author client.Client, csr *certificatesv1.CertificateSigningRequest) {
	t.Helper()
	env.Eventually(t, "creation of the CSR", func(ctx context.Context) error { return author.Create(ctx, csr) })
	expect.NoError(t, approve(t.Context(), csr))
}

// awaitNote waits for an event about an object whose note contains a text.
func awaitNote(t *testing.T, about client.Object, reason, mention string) {
	t.Helper()
	env.Eventually(t, "an event", func(context.Context) error {
		var list eventsv1.EventList
		if err := env.Client.List(t.Context(), &list); err != nil {
			return err
		}
		var texts []string
		for _, event := range list.Items {
			if event.Regarding.UID != about.GetUID() {
				continue
			}
			if event.Reason == reason && strings.Contains(event.Note, mention) {
				return nil
			}
			texts = append(texts, event.Reason+": "+event.Note)
		}
		return fmt.Errorf("events of %s: %q, want %s that mentions %s", about.GetName(), texts, reason, mention)
	})
}

func annotate(t *testing.T, csr *certificatesv1.CertificateSigningRequest, annotations map[string]string) {
	t.Helper()
	env.Change(t, csr, func() { maps.Copy(csr.Annotations, annotations) })
}

// passBy waits until a later request is signed.
func passBy(t *testing.T, b *burst) {
	t.Helper()
	later := &burst{namespace: b.namespace, issuer: b.issuer}
	later.tracked = []*tracked{later.newSigned(t, 999)}
	expect.NoError(t, later.create(t.Context(), 0))
	later.settle(t)
}

// grantCSRs allows a user only to create CSRs.
func grantCSRs(t *testing.T, user string) {
	t.Helper()
	for _, object := range []client.Object{
		&rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: user}, Rules: []rbacv1.PolicyRule{{
			APIGroups: []string{"certificates.k8s.io"}, Resources: []string{"certificatesigningrequests"}, Verbs: []string{"create"},
		}}},
		&rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: user},
			Subjects:   []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: user}},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: user},
		},
	} {
		expect.NoError(t, createOnce(t.Context(), object))
	}
}
