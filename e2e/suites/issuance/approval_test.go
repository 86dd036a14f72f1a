// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package issuance_test

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	cmutil "github.com/cert-manager/cert-manager/pkg/api/util"
	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/certmanager"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
)

// TestApprovalIsNeeded removes the approver's permission in the default overlay. It must not run in
// parallel.
func TestApprovalIsNeeded(t *testing.T) {
	namespace, key := newNamespaceAndKey(t)
	restore := withoutApproverPermission(t)
	awaitApproverRefused(t, key)

	waits, denied := createRequest(t, namespace, key), createRequest(t, namespace, key)
	passApprover(t, namespace, key)
	for _, request := range []*cmapi.CertificateRequest{waits, denied} {
		awaitEvent(t, request, "Warning", "WaitingForApproval", "30s", "selfsignedissuers.selfsigned.cert-manager.io/*",
			"cmctl approve -n "+namespace+" "+request.Name)
	}
	for _, request := range []*cmapi.CertificateRequest{waits, denied} {
		env.Get(t, request)
		expect.True(t, len(request.Status.Conditions) == 0 && len(request.Status.Certificate) == 0,
			"the request without approval has the status %+v", request.Status)
	}

	setCondition(t, denied, cmapi.CertificateRequestConditionDenied)
	awaitReady(t, denied, "Denied")
	checkFailed(t, denied)
	checkEvents(t, denied, "WaitingForApproval")

	restore()
	checkIssued(t, waits)
	checkEvents(t, waits, "WaitingForApproval", "CertificateIssued")
}

// withoutApproverPermission removes the binding of the approver role until restore is called.
func withoutApproverPermission(t *testing.T) (restore func()) {
	t.Helper()
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "cert-manager-controller-approve:selfsigned-cert-manager-io"},
	}
	env.Get(t, binding)
	env.Delete(t, binding.DeepCopy())
	binding.ObjectMeta = metav1.ObjectMeta{Name: binding.Name, Labels: binding.Labels}
	restore = sync.OnceFunc(func() {
		if err := env.Client.Create(context.Background(), binding); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(restore)
	return restore
}

// awaitApproverRefused waits until the removal of the permission has taken effect, which
// cert-manager's webhook caches for a second. It creates requests until cert-manager logs that it
// may not approve one.
func awaitApproverRefused(t *testing.T, key crypto.Signer) {
	t.Helper()
	namespace := newNamespace(t)
	env.Eventually(t, "refusal of the approver", func(context.Context) error {
		createRequest(t, namespace, key, forIssuer(namespace)) // to find them in the log
		log := env.CertManager.Process("cert-manager").LogPath()
		if len(loggedLines(t, log, namespace, "does not have permissions to set approved/denied conditions")) == 0 {
			return errors.New("not in the log of cert-manager")
		}
		return nil
	})
}

// passApprover waits until cert-manager's approver has approved a later request. By then, it has
// handled the earlier ones.
func passApprover(t *testing.T, namespace string, key crypto.Signer) {
	t.Helper()
	awaitApproved(t, createRequest(t, namespace, key, func(r *cmapi.CertificateRequest) {
		r.Spec.IssuerRef = cmmeta.IssuerReference{Group: "cert-manager.io", Kind: "Issuer", Name: "any"}
	}))
}

func awaitApproved(t *testing.T, request *cmapi.CertificateRequest) {
	t.Helper()
	env.Await(t, "approval", request, func() bool { return cmutil.CertificateRequestIsApproved(request) })
}

// setCondition adds a condition, as an approver or cert-manager would.
func setCondition(t *testing.T, request *cmapi.CertificateRequest, condition cmapi.CertificateRequestConditionType) {
	t.Helper()
	env.ChangeStatus(t, request, func() {
		cmutil.SetCertificateRequestCondition(request, condition, cmmeta.ConditionTrue, "Test", "by a test")
	})
}

// setReady sets the Ready condition, which is true only for the reason Issued.
func setReady(request *cmapi.CertificateRequest, reason string) {
	status := cmmeta.ConditionFalse
	if reason == cmapi.CertificateRequestReasonIssued {
		status = cmmeta.ConditionTrue
	}
	cmutil.SetCertificateRequestCondition(request, cmapi.CertificateRequestConditionReady, status, reason, "by a test")
}

// TestDeniedWinsOverApproved needs a namespace without cert-manager's webhook, which rejects both
// conditions together.
func TestDeniedWinsOverApproved(t *testing.T) {
	t.Parallel()
	namespace, key := newNamespace(t, certmanager.DisableValidationLabel), newKey(t)
	request := createRequest(t, namespace, key)
	awaitEventReason(t, request, "MissingSecret")
	setCondition(t, request, cmapi.CertificateRequestConditionDenied)
	awaitReady(t, request, "Denied")
	createKeySecret(t, namespace, key)
	barrier(t, namespace, key)
	env.Get(t, request)
	checkFailed(t, request)
	checkEvents(t, request, "MissingSecret")
}

// TestUntouched has requests that must not be changed, even if their Secret, issuer, labels and
// annotations change.
func TestUntouched(t *testing.T) {
	for name, finish := range map[string]requestEdit{
		"Ready":  func(r *cmapi.CertificateRequest) { setReady(r, "Issued") },
		"Failed": func(r *cmapi.CertificateRequest) { setReady(r, "Failed") },
		"Denied": func(r *cmapi.CertificateRequest) { setReady(r, "Denied") },
		"InvalidRequest": func(r *cmapi.CertificateRequest) {
			cmutil.SetCertificateRequestCondition(r, cmapi.CertificateRequestConditionInvalidRequest, cmmeta.ConditionTrue, "Test", "by a test")
		},
		"certificate without a condition": func(r *cmapi.CertificateRequest) {
			r.Status.Conditions = slices.DeleteFunc(r.Status.Conditions, func(c cmapi.CertificateRequestCondition) bool {
				return c.Type == cmapi.CertificateRequestConditionReady
			})
			r.Status.Certificate = []byte("from elsewhere")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			namespace, key := newNamespace(t, certmanager.DisableValidationLabel), newKey(t)
			request := createRequest(t, namespace, key)
			awaitEventReason(t, request, "MissingSecret")
			env.ChangeStatus(t, request, func() { finish(request) })
			edit(t, request)
			createKeySecret(t, namespace, key)
			changeIssuer(t, namespace, "http://example.com/crl")
			barrier(t, namespace, key)
			checkNotWritten(t, request)
			checkEvents(t, request, "MissingSecret")
		})
	}
}

// edit changes a label and an annotation.
func edit(t *testing.T, request *cmapi.CertificateRequest) {
	t.Helper()
	env.Change(t, request, func() {
		request.Labels = map[string]string{"edited": "true"}
		request.Annotations["edited"] = "true"
	})
}

// barrier waits until a later request in the namespace is signed. By then, earlier events have been
// handled.
func barrier(t *testing.T, namespace string, key crypto.Signer) {
	t.Helper()
	env.Create(t, keySecret(namespace, "barrier", map[string][]byte{"tls.key": keyPEM(t, key)}))
	later := createRequest(t, namespace, key, forSecret("barrier"))
	awaitReady(t, later, "Issued", "Secret "+namespace+"/barrier")
}

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
			awaitEvent(t, request, "Warning", "IssuerKindUnknown", "apiGroup selfsigned.cert-manager.io",
				fmt.Sprintf("%q", request.Spec.IssuerRef.Kind))
			env.Get(t, request)
			expect.True(t, len(request.Status.Conditions) == 0, "the request has the status %+v", request.Status)
			checkEvents(t, request, "IssuerKindUnknown")
			env.Change(t, certificate, func() { certificate.Spec.IssuerRef.Kind = "SelfSignedIssuer" })
			awaitIssued(t, certificate)
		})
	}
}

// TestCSRHints expects events about a malformed signer name, and after some time about a missing
// approval.
func TestCSRHints(t *testing.T) {
	t.Parallel()
	malformed := newCSR(t, "selfsignedissuers.selfsigned.cert-manager.io/issuer", newKey(t))
	waits := newCSR(t, clusterSigner+newClusterIssuer(t), newKey(t))
	env.Create(t, malformed)
	env.Create(t, waits)
	awaitEvent(t, malformed, "Warning", "SignerNameInvalid",
		malformed.Spec.SignerName, "clusterselfsignedissuers.selfsigned.cert-manager.io/NAME")
	awaitEvent(t, waits, "Normal", "WaitingForApproval", "30s", "kubectl certificate approve "+waits.Name)
	for csr, reason := range map[*CSR]string{
		malformed: "SignerNameInvalid", waits: "WaitingForApproval",
	} {
		env.Get(t, csr)
		expect.True(t, len(csr.Status.Conditions) == 0, "%s has the status %+v", csr.Name, csr.Status)
		checkEvents(t, csr, reason)
	}
}
