// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"testing"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	"github.com/cert-manager/cert-manager/pkg/util/pki"
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"

	selfsigned "github.com/cert-manager/selfsigned-issuer/api/v1alpha1"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
)

const (
	csrKeyAnnotation = "experimental.cert-manager.io/private-key-secret-name"
	namespacedSigner = "selfsignedissuers.selfsigned.cert-manager.io/"
	burstLabel       = "faulttest/burst"

	// timeout is how long a test waits, also on a slow machine.
	timeout = 5 * time.Minute

	// creators is how many requests are created at the same time.
	creators = 8
)

// burst is a set of requests of several kinds, in one namespace.
type burst struct {
	namespace string
	issuer    string
	tracked   []*tracked
	offsets   []time.Duration // possible offsets of the clock of selfsigned-issuer, in addition to 0
}

// tracked is a request with its own key and its expected outcome.
type tracked struct {
	name   string
	index  int
	key    crypto.Signer
	object client.Object
	secret *corev1.Secret // nil: none
	late   bool           // the Secret is created after the fault
	want   outcome
}

// newBurst returns count requests, and creates their namespace and issuer.
func newBurst(t *testing.T, count int) *burst {
	t.Helper()
	b := newNamespace(t)
	for i := range count {
		b.tracked = append(b.tracked, b.newTracked(t, i))
	}
	return b
}

// newNamespace returns a burst without requests, and creates its namespace with these labels.
func newNamespace(t *testing.T, labels ...string) *burst {
	t.Helper()
	b := &burst{namespace: expect.NewNamespace(t, env.Client, labels...), issuer: "issuer"}
	env.Create(t, b.newIssuer())
	t.Cleanup(func() { b.remove(t) })
	return b
}

func (b *burst) newIssuer() *selfsigned.SelfSignedIssuer {
	return &selfsigned.SelfSignedIssuer{ObjectMeta: metav1.ObjectMeta{Namespace: b.namespace, Name: b.issuer}}
}

// remove deletes everything, so that the next test starts without these objects.
func (b *burst) remove(t *testing.T) {
	ctx := context.Background()
	err := expect.Poll(ctx, timeout, func(ctx context.Context) error {
		if err := env.Client.DeleteAllOf(ctx, &certificatesv1.CertificateSigningRequest{}, client.MatchingLabels{burstLabel: b.namespace}); err != nil {
			return err
		}
		return client.IgnoreNotFound(env.Client.Delete(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: b.namespace}}))
	})
	if err != nil {
		t.Error(err)
	}
}

// newTracked returns the request with number i. Half of the requests are complete.
func (b *burst) newTracked(t *testing.T, i int) *tracked {
	t.Helper()
	r := b.newSigned(t, i)
	switch i % 10 {
	case 0:
		r.secret, r.want = nil, waitsForSecret
	case 1:
		r.object.SetAnnotations(nil)
		r.want = failsWithoutAnnotation
	case 2:
		r.secret.Data["tls.key"] = []byte("-----BEGIN PRIVATE KEY-----")
		r.want = waitsForUsableKey
	case 3:
		r.object = b.signingRequest(t, r)
	case 4:
		r.object.(*cmapi.CertificateRequest).Spec.IssuerRef = cmmeta.IssuerReference{Group: selfsigned.GroupName, Kind: "ClusterSelfSignedIssuer", Name: clusterIssuer}
	case 5:
		r.late = true
	case 6:
		r.object.(*cmapi.CertificateRequest).Spec.IssuerRef.Name = "missing"
		r.want = waitsForIssuer
	}
	return r
}

// watched returns the label of Secrets that selfsigned-issuer watches.
func watched() map[string]string {
	return map[string]string{cmapi.PartOfCertManagerControllerLabelKey: "true"}
}

// newSigned returns a complete request.
func (b *burst) newSigned(t *testing.T, i int) *tracked {
	t.Helper()
	r := &tracked{name: fmt.Sprintf("request-%04d", i), index: i, key: pooledKey(t, i), want: issued}
	r.secret = &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: b.namespace, Name: r.name, Labels: watched()},
		Data:       map[string][]byte{"tls.key": encodeKey(t, r.key)},
	}
	r.object = b.certificateRequest(t, r)
	return r
}

func (b *burst) certificateRequest(t *testing.T, r *tracked) *cmapi.CertificateRequest {
	t.Helper()
	return &cmapi.CertificateRequest{
		ObjectMeta: metav1.ObjectMeta{
			Namespace:   b.namespace,
			Name:        r.name,
			Annotations: map[string]string{cmapi.CertificateRequestPrivateKeyAnnotationKey: r.name},
		},
		Spec: cmapi.CertificateRequestSpec{
			Request:   encodeCSR(t, r.key, r.name),
			IssuerRef: cmmeta.IssuerReference{Group: selfsigned.GroupName, Kind: "SelfSignedIssuer", Name: b.issuer},
		},
	}
}

// signingRequest returns a Kubernetes CSR with a unique name.
func (b *burst) signingRequest(t *testing.T, r *tracked) *certificatesv1.CertificateSigningRequest {
	t.Helper()
	return &certificatesv1.CertificateSigningRequest{
		ObjectMeta: metav1.ObjectMeta{
			Name:        b.namespace + "-" + r.name,
			Labels:      map[string]string{burstLabel: b.namespace},
			Annotations: map[string]string{csrKeyAnnotation: r.name},
		},
		Spec: certificatesv1.CertificateSigningRequestSpec{
			Request:    encodeCSR(t, r.key, r.name),
			SignerName: namespacedSigner + b.namespace + "." + b.issuer,
			Usages:     []certificatesv1.KeyUsage{certificatesv1.UsageDigitalSignature},
		},
	}
}

// create creates everything except for late Secrets, evenly over a time. It retries while the API
// server is unavailable.
func (b *burst) create(ctx context.Context, spread time.Duration) error {
	errs := make([]error, len(b.tracked))
	begin := time.Now()
	workqueue.ParallelizeUntil(ctx, creators, len(b.tracked), func(i int) {
		sleepUntil(ctx, begin.Add(spread*time.Duration(i)/time.Duration(len(b.tracked))))
		errs[i] = b.tracked[i].create(ctx)
	})
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (r *tracked) create(ctx context.Context) error {
	if r.secret != nil && !r.late {
		if err := createOnce(ctx, r.secret); err != nil {
			return err
		}
	}
	if err := createOnce(ctx, r.object); err != nil {
		return err
	}
	if csr, ok := r.object.(*certificatesv1.CertificateSigningRequest); ok {
		return approve(ctx, csr)
	}
	return nil // cert-manager approves
}

// createLate creates the late Secrets.
func (b *burst) createLate(ctx context.Context) error {
	for _, r := range b.tracked {
		if r.late {
			if err := createOnce(ctx, r.secret); err != nil {
				return err
			}
		}
	}
	return nil
}

func approve(ctx context.Context, csr *certificatesv1.CertificateSigningRequest) error {
	return expect.Poll(ctx, timeout, func(ctx context.Context) error {
		if err := env.Client.Get(ctx, client.ObjectKeyFromObject(csr), csr); err != nil {
			return err
		}
		if len(csr.Status.Conditions) > 0 {
			return nil
		}
		csr.Status.Conditions = []certificatesv1.CertificateSigningRequestCondition{{
			Type: certificatesv1.CertificateApproved, Status: corev1.ConditionTrue, Reason: "Test", Message: "by a test",
		}}
		return env.Client.SubResource("approval").Update(ctx, csr)
	})
}

// createOnce creates a copy of an object. After a lost response, it may already exist.
func createOnce(ctx context.Context, object client.Object) error {
	return expect.Poll(ctx, timeout, func(ctx context.Context) error {
		err := env.Client.Create(ctx, object.DeepCopyObject().(client.Object))
		if apierrors.IsAlreadyExists(err) {
			return nil
		}
		return err
	})
}

func sleepUntil(ctx context.Context, moment time.Time) {
	select {
	case <-time.After(time.Until(moment)):
	case <-ctx.Done():
	}
}

func encodeCSR(t testing.TB, key crypto.Signer, commonName string) []byte {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: commonName}}, key)
	expect.NoError(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
}

func encodeKey(t testing.TB, key crypto.Signer) []byte {
	t.Helper()
	encoded, err := pki.EncodePKCS8PrivateKey(key)
	expect.NoError(t, err)
	return encoded
}
