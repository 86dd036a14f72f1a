// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package issuance_test

import (
	"context"
	"crypto"
	"errors"
	"slices"
	"testing"

	cmutil "github.com/cert-manager/cert-manager/pkg/api/util"
	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	selfsigned "github.com/cert-manager/selfsigned-issuer/api/v1alpha1"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/certmanager"
)

// TestApprovalIsNeeded removes the approver's permission in the default overlay. It must not run in
// parallel.
func TestApprovalIsNeeded(t *testing.T) {
	namespace, key := newNamespace(t), newKey(t)
	createKeySecret(t, namespace, key)
	restore := withoutApproverPermission(t)
	awaitApproverRefused(t, key)

	waits, denied := newRequest(t, namespace, key), newRequest(t, namespace, key)
	env.Create(t, waits)
	env.Create(t, denied)
	passApprover(t, namespace, key)
	for _, request := range []*cmapi.CertificateRequest{waits, denied} {
		awaitEvent(t, request, "Warning", "WaitingForApproval", "30s", "selfsignedissuers.selfsigned.cert-manager.io/*", "cmctl approve -n "+namespace+" "+request.Name)
	}
	for _, request := range []*cmapi.CertificateRequest{waits, denied} {
		env.Get(t, request)
		if len(request.Status.Conditions) > 0 || len(request.Status.Certificate) > 0 {
			t.Errorf("the request without approval has the status %+v", request.Status)
		}
	}

	setCondition(t, denied, cmapi.CertificateRequestConditionDenied)
	awaitReady(t, denied, cmmeta.ConditionFalse, "Denied")
	checkFailed(t, denied)
	checkEvents(t, denied, "WaitingForApproval")

	restore()
	checkIssued(t, waits)
	checkEvents(t, waits, "WaitingForApproval", "CertificateIssued")
}

// withoutApproverPermission removes the binding of the approver role until restore is called.
func withoutApproverPermission(t *testing.T) (restore func()) {
	t.Helper()
	binding := &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "cert-manager-controller-approve:selfsigned-cert-manager-io"}}
	env.Get(t, binding)
	if err := env.Client.Delete(t.Context(), binding.DeepCopy()); err != nil {
		t.Fatal(err)
	}
	binding.ObjectMeta = metav1.ObjectMeta{Name: binding.Name, Labels: binding.Labels}
	restored := false
	restore = func() {
		if restored {
			return
		}
		restored = true
		if err := env.Client.Create(context.Background(), binding); err != nil {
			t.Error(err)
		}
	}
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
		request := newRequest(t, namespace, key)
		request.Spec.IssuerRef.Name = namespace // to find them in the log
		env.Create(t, request)
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
	later := newRequest(t, namespace, key)
	later.Spec.IssuerRef = cmmeta.IssuerReference{Group: "cert-manager.io", Kind: "Issuer", Name: "any"}
	env.Create(t, later)
	env.Eventually(t, "approval of a request for an in-tree issuer", func(context.Context) error {
		env.Get(t, later)
		if !cmutil.CertificateRequestIsApproved(later) {
			return errors.New("not approved")
		}
		return nil
	})
}

// setCondition adds a condition, as an approver or cert-manager would.
func setCondition(t *testing.T, request *cmapi.CertificateRequest, condition cmapi.CertificateRequestConditionType) {
	t.Helper()
	now := metav1.Now()
	env.Eventually(t, "setting condition "+string(condition), func(ctx context.Context) error {
		env.Get(t, request)
		request.Status.Conditions = append(request.Status.Conditions, cmapi.CertificateRequestCondition{
			Type: condition, Status: cmmeta.ConditionTrue, Reason: "Test", Message: "by a test", LastTransitionTime: &now,
		})
		if err := env.Client.Status().Update(ctx, request); err != nil {
			return err
		}
		return nil
	})
}

// TestDeniedWinsOverApproved needs a namespace without cert-manager's webhook, which rejects both
// conditions together.
func TestDeniedWinsOverApproved(t *testing.T) {
	t.Parallel()
	namespace, key := newNamespace(t, certmanager.DisableValidationLabel), newKey(t)
	request := newRequest(t, namespace, key)
	env.Create(t, request)
	awaitEventReason(t, request, "MissingSecret")
	setCondition(t, request, cmapi.CertificateRequestConditionDenied)
	awaitReady(t, request, cmmeta.ConditionFalse, "Denied")
	createKeySecret(t, namespace, key)
	barrier(t, namespace, key)
	env.Get(t, request)
	checkFailed(t, request)
	checkEvents(t, request, "MissingSecret")
}

// TestUntouched has requests that must not be changed, even if their Secret, issuer, labels and
// annotations change.
func TestUntouched(t *testing.T) {
	for name, finish := range map[string]func(*cmapi.CertificateRequest){
		"Ready":  func(r *cmapi.CertificateRequest) { setReady(r, cmmeta.ConditionTrue, "Issued") },
		"Failed": func(r *cmapi.CertificateRequest) { setReady(r, cmmeta.ConditionFalse, "Failed") },
		"Denied": func(r *cmapi.CertificateRequest) { setReady(r, cmmeta.ConditionFalse, "Denied") },
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
			request := newRequest(t, namespace, key)
			env.Create(t, request)
			awaitEventReason(t, request, "MissingSecret")
			updateStatus(t, request, finish)
			edit(t, request)
			before := request.ResourceVersion
			createKeySecret(t, namespace, key)
			changeIssuer(t, namespace, func(spec *selfsigned.SelfSignedIssuerSpec) {
				spec.CRLDistributionPoints = []string{"http://example.com/crl"}
			})
			barrier(t, namespace, key)
			env.Get(t, request)
			if request.ResourceVersion != before {
				t.Errorf("the request was written: %+v", request.Status)
			}
			checkEvents(t, request, "MissingSecret")
		})
	}
}

// barrier waits until a later request in the namespace is signed. By then, earlier events have been
// handled.
func barrier(t *testing.T, namespace string, key crypto.Signer) {
	t.Helper()
	env.Create(t, keySecret(namespace, "barrier", map[string][]byte{"tls.key": keyPEM(t, key)}))
	later := newRequest(t, namespace, key)
	later.Annotations[cmapi.CertificateRequestPrivateKeyAnnotationKey] = "barrier"
	env.Create(t, later)
	awaitReady(t, later, cmmeta.ConditionTrue, "Issued", "Secret "+namespace+"/barrier")
}

// awaitEventReason waits for an event with a reason and any note.
func awaitEventReason(t *testing.T, about client.Object, reason string) {
	t.Helper()
	env.Eventually(t, "event "+reason+" of "+about.GetName(), func(context.Context) error {
		for _, event := range eventsOf(t, about) {
			if event.Reason == reason {
				return nil
			}
		}
		return errors.New("not there")
	})
}
