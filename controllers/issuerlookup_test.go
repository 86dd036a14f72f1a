// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	selfsigned "github.com/cert-manager/selfsigned-issuer/api/v1alpha1"
	"github.com/cert-manager/selfsigned-issuer/controllers/internal/outcome"
	"github.com/cert-manager/selfsigned-issuer/controllers/internal/request"
	"github.com/cert-manager/selfsigned-issuer/controllers/internal/testsupport"
)

// unreachable is an API server that must not be called.
type unreachable struct{ client.Reader }

func (unreachable) List(context.Context, client.ObjectList, ...client.ListOption) error {
	return errors.New("was asked")
}

// TestImpossibleIssuerNames: the API server is not called with an invalid name, because its
// rejection would be retried as an error.
func TestImpossibleIssuerNames(t *testing.T) {
	t.Parallel()
	reader := issuerReader{unreachable{}}
	for _, ref := range []request.IssuerRef{
		{Kind: request.IssuerKind, Key: types.NamespacedName{Namespace: "sandbox", Name: ""}},
		{Kind: request.IssuerKind, Key: types.NamespacedName{Namespace: "sandbox", Name: "a/../b"}},
		{Kind: request.IssuerKind, Key: types.NamespacedName{Namespace: "a.b", Name: "issuer"}},
		{Kind: request.ClusterIssuerKind, Key: types.NamespacedName{Name: strings.Repeat("x", 1<<20)}},
		{Kind: request.ClusterIssuerKind, Key: types.NamespacedName{Name: "nul\x00,metadata.name!=x"}},
	} {
		if got := reader.diagnoseMissingIssuer(t.Context(), ref).Reason; got != outcome.ReasonIssuerNotFound {
			t.Errorf("%.40q: %s, want %s", ref, got, outcome.ReasonIssuerNotFound)
		}
	}
	possible := request.IssuerRef{Kind: request.IssuerKind, Key: types.NamespacedName{Namespace: "sandbox", Name: "issuer.1"}}
	if got := reader.diagnoseMissingIssuer(t.Context(), possible).Reason; got != outcome.ReasonIssuerReadError {
		t.Errorf("%s: %s, want %s", possible, got, outcome.ReasonIssuerReadError)
	}
}

// largeIssuer has the largest spec that the schema permits.
func largeIssuer() *selfsigned.SelfSignedIssuer {
	issuer := testsupport.ReadyIssuer()
	issuer.UID = "issuer"
	for i := range 16 {
		uri := fmt.Sprintf("http://%d.example.com/", i)
		issuer.Spec.CRLDistributionPoints = append(issuer.Spec.CRLDistributionPoints, uri+strings.Repeat("a", 2048-len(uri)))
	}
	return issuer
}

// liveIssuers is an API server with the given issuers.
func liveIssuers(t *testing.T, issuers ...client.Object) issuerReader {
	t.Helper()
	byName := func(o client.Object) []string { return []string{o.GetName()} }
	return issuerReader{fake.NewClientBuilder().WithScheme(Scheme()).WithObjects(issuers...).
		WithIndex(&selfsigned.SelfSignedIssuer{}, "metadata.name", byName).
		WithIndex(&selfsigned.ClusterSelfSignedIssuer{}, "metadata.name", byName).Build()}
}

// TestLargeIssuer: the cache does not hold a large spec, which is read when it is needed.
func TestLargeIssuer(t *testing.T) {
	t.Parallel()
	whole := largeIssuer()
	small := testsupport.ReadyIssuer()
	small.Spec.CRLDistributionPoints = []string{"http://crl.example.com/root.crl"}
	for _, issuer := range []*selfsigned.SelfSignedIssuer{whole, small} {
		cached := issuer.DeepCopy()
		for range 2 { // a transform can be applied again
			if _, err := stripUnusedFields(cached); err != nil {
				t.Fatal(err)
			}
		}
		if size := len(strings.Join(cached.Spec.CRLDistributionPoints, "")); size > 1<<10 {
			t.Errorf("the cache holds %d bytes", size)
		}
		if err := liveIssuers(t, issuer.DeepCopy()).complete(t.Context(), cached); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(cached.Spec.CRLDistributionPoints, issuer.Spec.CRLDistributionPoints) {
			t.Errorf("%d distribution points, want %d", len(cached.Spec.CRLDistributionPoints), len(issuer.Spec.CRLDistributionPoints))
		}
	}
	cluster := &selfsigned.ClusterSelfSignedIssuer{ObjectMeta: metav1.ObjectMeta{Name: "issuer"}, Spec: whole.Spec}
	cached := cluster.DeepCopy()
	strip(t, cached)
	if err := liveIssuers(t, cluster).complete(t.Context(), cached); err != nil || len(cached.Spec.CRLDistributionPoints) != 16 {
		t.Errorf("%d distribution points of a cluster issuer, %v", len(cached.Spec.CRLDistributionPoints), err)
	}
	strip(t, whole)
	if err := liveIssuers(t, testsupport.ReadyIssuer()).complete(t.Context(), whole); err == nil {
		t.Error("a successor of the same name was taken for the issuer")
	}
}

// TestLargeIssuerSigns: a certificate has all distribution points, whatever the cache holds.
func TestLargeIssuerSigns(t *testing.T) {
	t.Parallel()
	f := newFixture(t, interceptor.Funcs{})
	var cached selfsigned.SelfSignedIssuer
	if err := f.client.Get(t.Context(), issuerKey, &cached); err != nil {
		t.Fatal(err)
	}
	whole := largeIssuer()
	whole.UID = cached.UID
	cached.Spec = whole.Spec
	strip(t, &cached)
	if err := f.client.Update(t.Context(), &cached); err != nil {
		t.Fatal(err)
	}
	f.reconciler.issuers = issuerReader{unreachable{}}
	if _, err := f.reconcile(); err == nil || f.ready(t).Reason != cmapi.CertificateRequestReasonPending {
		t.Errorf("%v, %+v: want a retry", err, f.ready(t))
	}
	f.reconciler.issuers = liveIssuers(t, whole)
	if _, err := f.reconcile(); err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(f.request(t).Status.Certificate)
	if block == nil {
		t.Fatalf("no certificate: %+v", f.ready(t))
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil || !slices.Equal(certificate.CRLDistributionPoints, whole.Spec.CRLDistributionPoints) {
		t.Errorf("%d distribution points, %v", len(certificate.CRLDistributionPoints), err)
	}
}

// TestLargeIssuerIsChecked: the whole spec is checked.
func TestLargeIssuerIsChecked(t *testing.T) {
	t.Parallel()
	for name, valid := range map[string]bool{"valid": true, "invalid": false} {
		whole := largeIssuer()
		whole.Status.Conditions = nil
		if !valid {
			whole.Spec.CRLDistributionPoints[15] = "gopher://example.com"
		}
		cached := whole.DeepCopy()
		strip(t, cached)
		f := newIssuerFixture(t, cached, accepted)
		f.reconciler.issuers = liveIssuers(t, whole)
		for range 2 { // the first one writes that it has begun
			if _, err := f.reconcile(); err != nil && valid {
				t.Fatal(name, err)
			}
		}
		var issuer selfsigned.SelfSignedIssuer
		if err := f.client.Get(t.Context(), issuerKey, &issuer); err != nil {
			t.Fatal(err)
		}
		if ready := request.ReadyCondition(&issuer); ready == nil || (ready.Status == metav1.ConditionTrue) != valid {
			t.Errorf("%s: %+v", name, ready)
		}
	}
}
