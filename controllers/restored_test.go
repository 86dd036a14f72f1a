// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"testing"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/cert-manager/selfsigned-issuer/controllers/internal/outcome"
)

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
	message := outcome.Args{"secret": "sandbox/key", "kind": "CertificateRequest"}.Message(outcome.ReasonMissingOwner)
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
