// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package issuance_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// TestRestoredRequest restores a Certificate and its request like a backup tool, without status and
// owner. cert-manager approves the request, but does not use it, and cannot create another one
// until it is deleted, as the message says.
func TestRestoredRequest(t *testing.T) {
	t.Parallel()
	certificate := newCertificate(newNamespace(t))
	env.Create(t, certificate)
	awaitIssued(t, certificate)
	request := requestOf(t, certificate)
	if len(request.OwnerReferences) == 0 {
		t.Error("a Certificate's request has no owner, like a restored one")
	}
	remove(t, certificate)
	remove(t, request)
	restored := &cmapi.CertificateRequest{Spec: request.Spec}
	restored.Namespace, restored.Name, restored.Annotations = request.Namespace, request.Name, request.Annotations
	env.Create(t, restored)
	awaitPending(t, restored, "Warning", "MissingOwner", "Secret "+restored.Namespace+"/"+restored.Annotations[cmapi.CertificateRequestPrivateKeyAnnotationKey], "CertificateRequest")
	if count := metric(t, `selfsigned_issuer_requests_waiting{kind="CertificateRequest",reason="MissingOwner"}`); count < 1 {
		t.Errorf("%v requests are counted as without an owner", count)
	}

	certificate = newCertificate(certificate.Namespace)
	env.Create(t, certificate)
	renew(t, certificate)
	awaitBlocked(t, certificate)
	remove(t, restored)
	awaitIssued(t, certificate)
}

// awaitBlocked waits until cert-manager reports that a request with this name exists.
func awaitBlocked(t *testing.T, certificate *cmapi.Certificate) {
	t.Helper()
	env.Eventually(t, "cert-manager's event about the restored request", func(ctx context.Context) error {
		var list corev1.EventList
		if err := env.Client.List(ctx, &list, client.InNamespace(certificate.Namespace)); err != nil {
			return err
		}
		for _, event := range list.Items {
			if event.InvolvedObject.UID == certificate.UID && strings.HasSuffix(event.Message, "already exists") {
				return nil
			}
		}
		return errors.New("there is none")
	})
}

func remove(t *testing.T, object client.Object) {
	t.Helper()
	if err := env.Client.Delete(t.Context(), object); err != nil {
		t.Fatal(err)
	}
}
