// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package issuance_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// TestUnknownIssuerKind has Certificates with our group and a missing or misspelled kind. The
// request gets an event, but no status, because cert-manager does not approve it. The corrected
// Certificate is issued.
func TestUnknownIssuerKind(t *testing.T) {
	t.Parallel()
	for name, kind := range map[string]string{
		"forgotten": "", "cert-manager's": "Issuer", "lower case": "SelfsignedIssuer", "plural": "clusterselfsignedissuers",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			certificate := newCertificate(newNamespace(t))
			certificate.Spec.IssuerRef.Kind = kind
			env.Create(t, certificate)
			request := onlyRequest(t, certificate.Namespace)
			awaitEvent(t, request, "Warning", "IssuerKindUnknown", "apiGroup selfsigned.cert-manager.io", fmt.Sprintf("%q", request.Spec.IssuerRef.Kind))
			env.Get(t, request)
			if len(request.Status.Conditions) > 0 {
				t.Errorf("the request has the status %+v", request.Status)
			}
			checkEvents(t, request, "IssuerKindUnknown")
			change(t, certificate, func() { certificate.Spec.IssuerRef.Kind = "SelfSignedIssuer" })
			awaitIssued(t, certificate)
		})
	}
}

// onlyRequest waits for the first request in a namespace.
func onlyRequest(t *testing.T, namespace string) *cmapi.CertificateRequest {
	t.Helper()
	var list cmapi.CertificateRequestList
	env.Eventually(t, "the request", func(ctx context.Context) error {
		if err := env.Client.List(ctx, &list, client.InNamespace(namespace)); err != nil {
			return err
		}
		if len(list.Items) == 0 {
			return errors.New("there is none")
		}
		return nil
	})
	return &list.Items[0]
}

// TestCSRHints expects events about a malformed signer name, and after some time about a missing
// approval.
func TestCSRHints(t *testing.T) {
	t.Parallel()
	malformed := newCSR(t, "selfsignedissuers.selfsigned.cert-manager.io/issuer", "key", newKey(t))
	waits := newCSR(t, clusterSigner+newClusterIssuer(t), "key", newKey(t))
	env.Create(t, malformed)
	env.Create(t, waits)
	awaitEvent(t, malformed, "Warning", "SignerNameInvalid", malformed.Spec.SignerName, "clusterselfsignedissuers.selfsigned.cert-manager.io/NAME")
	awaitEvent(t, waits, "Normal", "WaitingForApproval", "30s", "kubectl certificate approve "+waits.Name)
	for csr, reason := range map[*certificatesv1.CertificateSigningRequest]string{malformed: "SignerNameInvalid", waits: "WaitingForApproval"} {
		env.Get(t, csr)
		if len(csr.Status.Conditions) > 0 {
			t.Errorf("%s has the status %+v", csr.Name, csr.Status)
		}
		checkEvents(t, csr, reason)
	}
}
