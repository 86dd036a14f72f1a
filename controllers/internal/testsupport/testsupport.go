// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package testsupport has objects for the tests of the controllers. It is not in the binary.
package testsupport

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	libapi "github.com/cert-manager/issuer-lib/api/v1alpha1"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	selfsigned "github.com/cert-manager/selfsigned-issuer/api/v1alpha1"
)

// ApprovedRequest returns an approved CertificateRequest sandbox/request for a key.
func ApprovedRequest(t *testing.T, key crypto.Signer, created time.Time) *cmapi.CertificateRequest {
	t.Helper()
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "example.com"}}, key)
	if err != nil {
		t.Fatal(err)
	}
	request := PendingRequest("request")
	request.UID, request.CreationTimestamp = "the-uid", metav1.NewTime(created)
	request.Spec.Request = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: csr})
	return request
}

// ReadyIssuer returns the ready SelfSignedIssuer sandbox/issuer.
func ReadyIssuer() *selfsigned.SelfSignedIssuer {
	return &selfsigned.SelfSignedIssuer{
		ObjectMeta: metav1.ObjectMeta{Namespace: "sandbox", Name: "issuer"},
		Status: selfsigned.SelfSignedIssuerStatus{Conditions: []metav1.Condition{
			{Type: libapi.IssuerConditionTypeReady, Status: metav1.ConditionTrue, Reason: libapi.IssuerConditionReasonChecked},
		}},
	}
}

// Key returns a private key.
func Key(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// OwnedBy returns the owner references that cert-manager gives a request.
func OwnedBy(certificate string) []metav1.OwnerReference {
	controller := true
	return []metav1.OwnerReference{{
		APIVersion: "cert-manager.io/v1", Kind: "Certificate", Name: certificate, UID: types.UID(certificate), Controller: &controller,
	}}
}

// PendingRequest returns an approved request for the Secret sandbox/key.
func PendingRequest(name string) *cmapi.CertificateRequest {
	return &cmapi.CertificateRequest{
		ObjectMeta: metav1.ObjectMeta{Namespace: "sandbox", Name: name, Annotations: map[string]string{cmapi.CertificateRequestPrivateKeyAnnotationKey: "key"}},
		Spec:       cmapi.CertificateRequestSpec{IssuerRef: cmmeta.IssuerReference{Group: selfsigned.GroupName, Kind: "SelfSignedIssuer", Name: "issuer"}},
		Status: cmapi.CertificateRequestStatus{Conditions: []cmapi.CertificateRequestCondition{
			{Type: cmapi.CertificateRequestConditionApproved, Status: cmmeta.ConditionTrue},
		}},
	}
}

// Scrape returns the metrics as text.
func Scrape(t *testing.T, m prometheus.Collector) string {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(m); err != nil {
		t.Fatal(err)
	}
	response := httptest.NewRecorder()
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(response, httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody))
	if response.Code != http.StatusOK {
		t.Fatalf("status %d: %s", response.Code, response.Body)
	}
	return response.Body.String()
}

// Heap returns the size of the heap in use.
func Heap() int64 {
	var stats runtime.MemStats
	for range 3 { // finalizers and pools take more than one
		runtime.GC()
	}
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc) //nolint:gosec // a heap is smaller than 2^63 bytes
}
