// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"testing"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

// ownedBy returns the owner references that cert-manager gives a request.
func ownedBy(certificate string) []metav1.OwnerReference {
	controller := true
	return []metav1.OwnerReference{{
		APIVersion: "cert-manager.io/v1", Kind: "Certificate", Name: certificate, UID: types.UID(certificate), Controller: &controller,
	}}
}

// TestUnattended: requests in the cache have the fields that unattended needs.
func TestUnattended(t *testing.T) {
	t.Parallel()
	forCertificate := map[string]string{cmapi.CertificateNameKey: "certificate"}
	for name, test := range map[string]struct {
		age         time.Duration
		owned       bool
		annotations map[string]string
		lost, want  bool
	}{
		"a Certificate's":          {age: time.Hour, owned: true, annotations: forCertificate},
		"a Certificate's, old":     {age: 30 * 24 * time.Hour, owned: true, annotations: forCertificate},
		"restored from a backup":   {age: time.Second, annotations: forCertificate, lost: true, want: true},
		"made by hand":             {age: 23 * time.Hour},
		"empty annotation":         {age: 23 * time.Hour, annotations: map[string]string{cmapi.CertificateNameKey: ""}},
		"made by hand, old":        {age: 25 * time.Hour, want: true},
		"of another owner, old":    {age: 25 * time.Hour, owned: true},
		"restored, older than day": {age: 25 * time.Hour, annotations: forCertificate, lost: true, want: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			request := hintableRequest(test.age, issuerKind)
			if test.owned {
				request.OwnerReferences = ownedBy("certificate")
			}
			request.Annotations = test.annotations
			kept := strip(t, request)
			if lostOwner(kept) != test.lost || unattended(kept, hintTime) != test.want {
				t.Errorf("lost its owner: %t, unattended: %t; want %t, %t", lostOwner(kept), unattended(kept, hintTime), test.lost, test.want)
			}
		})
	}
}

// TestRestoredRequest: a request of a Certificate without its owner and its Secret reports this
// with the remedy. It is still signed when the Secret is created.
func TestRestoredRequest(t *testing.T) {
	t.Parallel()
	f := newFixture(t, interceptor.Funcs{})
	var request cmapi.CertificateRequest
	if err := f.client.Get(t.Context(), requestKey, &request); err != nil {
		t.Fatal(err)
	}
	request.Annotations[cmapi.CertificateNameKey] = "certificate"
	if err := f.client.Update(t.Context(), &request); err != nil {
		t.Fatal(err)
	}
	var secret corev1.Secret
	if err := f.client.Get(t.Context(), types.NamespacedName{Namespace: "sandbox", Name: "key"}, &secret); err != nil {
		t.Fatal(err)
	}
	if err := f.client.Delete(t.Context(), secret.DeepCopy()); err != nil {
		t.Fatal(err)
	}
	message := messageArgs{"secret": "sandbox/key", "kind": "CertificateRequest"}.message(ReasonMissingOwner)
	for range 2 {
		if result, err := f.reconcile(); err != nil || result.RequeueAfter == 0 {
			t.Fatalf("got %+v, %v: want another read of the Secret", result, err)
		}
	}
	if got := f.ready(t); got.Reason != cmapi.CertificateRequestReasonPending || got.Message != message {
		t.Errorf("\n got %s: %s\nwant Pending: %s", got.Reason, got.Message, message)
	}
	if sent := len(f.recorder.Events); sent != 1 {
		t.Fatalf("%d events, want 1", sent)
	}
	if got := <-f.recorder.Events; got != "Warning MissingOwner "+message {
		t.Errorf("event %s", got)
	}
	secret.ResourceVersion = ""
	if err := f.client.Create(t.Context(), &secret); err != nil {
		t.Fatal(err)
	}
	if _, err := f.reconcile(); err != nil {
		t.Fatal(err)
	}
	if got := f.ready(t); got.Reason != cmapi.CertificateRequestReasonIssued {
		t.Errorf("with its Secret: %s: %s", got.Reason, got.Message)
	}
}
