// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"testing"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// large is what makes an object large.
var large = bytes.Repeat([]byte("x"), 4<<10)

func slim[T client.Object](t *testing.T, object T) (T, int) {
	t.Helper()
	object.SetManagedFields([]metav1.ManagedFieldsEntry{{Manager: "somebody"}})
	result, err := Slim(object)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := json.Marshal(result)
	if err != nil {
		t.Fatal(err)
	}
	if len(result.(T).GetManagedFields()) > 0 {
		t.Error("managed fields are still there")
	}
	return result.(T), len(encoded)
}

// TestSlimKeepsTheVerdict: whatever the controllers conclude from a request in the cache is
// the same without what was dropped.
func TestSlimKeepsTheVerdict(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	condition := func(conditionType cmapi.CertificateRequestConditionType, status cmmeta.ConditionStatus, reason string) func(*cmapi.CertificateRequest) {
		return func(r *cmapi.CertificateRequest) {
			r.Status.Conditions = append(r.Status.Conditions, cmapi.CertificateRequestCondition{Type: conditionType, Status: status, Reason: reason, Message: string(large)})
		}
	}
	for name, test := range map[string]struct {
		change func(*cmapi.CertificateRequest)
		small  bool
	}{
		"approved":            {func(*cmapi.CertificateRequest) {}, false},
		"pending":             {condition("Ready", "False", "Pending"), false},
		"denied, to be told":  {condition("Denied", "True", "Policy"), false},
		"issued":              {condition("Ready", "True", "Issued"), true},
		"failed":              {condition("Ready", "False", "Failed"), true},
		"denied":              {condition("Ready", "False", "Denied"), true},
		"invalid":             {condition("InvalidRequest", "True", "Webhook"), true},
		"only a certificate":  {func(r *cmapi.CertificateRequest) { r.Status.Certificate = large }, true},
		"another issuer's":    {func(r *cmapi.CertificateRequest) { r.Spec.IssuerRef.Group = "example.com" }, true},
		"another kind's":      {func(r *cmapi.CertificateRequest) { r.Spec.IssuerRef.Kind = "Issuer" }, true},
		"issued by the other": {func(r *cmapi.CertificateRequest) { r.Spec.IssuerRef.Kind = ""; r.Status.Certificate = large }, true},
	} {
		t.Run(name, func(t *testing.T) {
			request := approvedRequest(t, key, time.Now())
			request.Spec.Request, request.ResourceVersion = large, "7"
			request.Annotations[cmapi.CertificateNameKey] = "example"
			test.change(request)
			before := certificateRequest{request.DeepCopy()}
			kept, size := slim(t, request)
			after := certificateRequest{kept}
			if before.finished() != after.finished() || before.approved() != after.approved() || before.denied() != after.denied() || before.deniedAlready() != after.deniedAlready() {
				t.Errorf("concluded from %+v, not the same as before", kept.Status)
			}
			if !test.small && !after.fromCertificate() {
				t.Error("it is no longer known that the request is for a Certificate")
			}
			wantRef, wantOurs := before.issuer()
			if ref, ours := after.issuer(); ref != wantRef || ours != wantOurs {
				t.Errorf("the issuer is %v, want %v", ref, wantRef)
			}
			if kept.UID != before.cr.UID || kept.ResourceVersion != "7" || client.ObjectKeyFromObject(kept) != requestKey {
				t.Errorf("the identity is %+v", kept.ObjectMeta)
			}
			if (size < 1<<10) != test.small {
				t.Errorf("%d bytes are kept: want less than 1024: %t", size, test.small)
			}
		})
	}
}

func TestSlimCSRAndSecret(t *testing.T) {
	t.Parallel()
	csr := &certificatesv1.CertificateSigningRequest{
		ObjectMeta: metav1.ObjectMeta{Name: "csr", Annotations: map[string]string{"large": string(large)}},
		Spec:       certificatesv1.CertificateSigningRequestSpec{SignerName: "clusterselfsignedissuers.selfsigned.cert-manager.io/issuer", Request: large},
	}
	if kept, size := slim(t, csr.DeepCopy()); size < 2*len(large) || (certificateSigningRequest{csr: kept}).finished() {
		t.Errorf("a waiting CSR has lost something: %d bytes", size)
	}
	csr.Status.Certificate = large
	csr.Status.Conditions = []certificatesv1.CertificateSigningRequestCondition{{Type: certificatesv1.CertificateApproved, Status: corev1.ConditionTrue}}
	kept, size := slim(t, csr)
	_, ours := certificateSigningRequest{csr: kept}.issuer()
	if size > 1<<10 || !ours || !(certificateSigningRequest{csr: kept}).finished() {
		t.Errorf("a signed CSR: %d bytes, %+v", size, kept)
	}
	secret := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
		Namespace: "sandbox", Name: "key", ResourceVersion: "7", Annotations: map[string]string{"large": string(large)},
	}}
	if kept, size := slim(t, secret); size > 1<<10 || kept.Name != "key" || kept.Namespace != "sandbox" || kept.ResourceVersion != "7" {
		t.Errorf("a Secret: %d bytes, %+v", size, kept)
	}
}
