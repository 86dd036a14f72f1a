// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build clustertest

package cluster

import (
	"context"
	"crypto/x509"
	"fmt"
	"testing"
	"time"

	cmutil "github.com/cert-manager/cert-manager/pkg/api/util"
	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	"github.com/cert-manager/cert-manager/pkg/util/pki"
	"github.com/cert-manager/cert-manager/test/unit/gen"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	selfsigned "github.com/cert-manager/selfsigned-issuer/api/v1alpha1"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
)

// requests are CertificateRequests that differ only in their names, with an existing key Secret.
type requests struct {
	template cmapi.CertificateRequest
	made     int
}

func newRequests(t *testing.T, namespace string) *requests {
	t.Helper()
	csr, key, err := gen.CSR(x509.ECDSA, gen.SetCSRCommonName("request"))
	expect.NoError(t, err)
	keyPEM, err := pki.EncodePKCS8PrivateKey(key)
	expect.NoError(t, err)
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, GenerateName: "key-", Labels: map[string]string{cmapi.PartOfCertManagerControllerLabelKey: "true"}},
		Data:       map[string][]byte{"tls.key": keyPEM},
	}
	env.Create(t, secret)
	return &requests{template: cmapi.CertificateRequest{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, GenerateName: "request-",
			// The Secret's unique name identifies these requests.
			Labels:      map[string]string{"key": secret.Name},
			Annotations: map[string]string{cmapi.CertificateRequestPrivateKeyAnnotationKey: secret.Name},
		},
		Spec: cmapi.CertificateRequestSpec{
			Request:   csr,
			IssuerRef: cmmeta.IssuerReference{Group: selfsigned.GroupName, Kind: "SelfSignedIssuer", Name: issuerName},
		},
	}}
}

func (r *requests) create(ctx context.Context) error {
	r.made++
	return env.Client.Create(ctx, r.template.DeepCopy())
}

// createUntil creates a request every 50 ms until the context ends.
func (r *requests) createUntil(ctx context.Context) error {
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			// Not with this context: a started request is completed.
			if err := r.create(context.WithoutCancel(ctx)); err != nil {
				return fmt.Errorf("creating request %d: %w", r.made, err)
			}
		}
	}
}

// awaitSigned waits until every request has a certificate, and returns the longest duration, in
// whole seconds. A failed request fails the test.
func (r *requests) awaitSigned(t *testing.T) (slowest time.Duration) {
	t.Helper()
	env.Eventually(t, "requests", func(context.Context) error {
		var list cmapi.CertificateRequestList
		env.List(t, &list, client.InNamespace(r.template.Namespace), client.MatchingLabels(r.template.Labels))
		signed := 0
		for _, request := range list.Items {
			if request.Status.FailureTime != nil {
				t.Fatalf("%s failed: %+v", request.Name, request.Status.Conditions)
			}
			ready := cmutil.GetCertificateRequestCondition(&request, cmapi.CertificateRequestConditionReady)
			if ready != nil && ready.Status == cmmeta.ConditionTrue && len(request.Status.Certificate) > 0 {
				signed++
				slowest = max(slowest, ready.LastTransitionTime.Sub(request.CreationTimestamp.Time))
			}
		}
		if signed < r.made {
			return fmt.Errorf("%d of %d are signed", signed, r.made)
		}
		return nil
	})
	return slowest
}
