// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package issuance_test

import (
	"context"
	"crypto"
	"errors"
	"net/http"
	"slices"
	"sync"
	"testing"

	cmutil "github.com/cert-manager/cert-manager/pkg/api/util"
	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/faultproxy"
)

// heldWrite is a status write that has not reached the API server yet.
type heldWrite struct {
	gate  *faultproxy.Gate
	rules []*faultproxy.Rule

	mu       sync.Mutex
	statuses []int // of the responses
}

// holdWrites holds every status write of a request until release.
func holdWrites(t *testing.T, namespace, name string) *heldWrite {
	t.Helper()
	return holdPatches(t, "/apis/cert-manager.io/v1/namespaces/"+namespace+"/certificaterequests/"+name+"/status")
}

func holdPatches(t *testing.T, path string) *heldWrite {
	t.Helper()
	h := &heldWrite{gate: faultproxy.NewGate()}
	t.Cleanup(h.gate.Open)
	status := faultproxy.On("PATCH", path)
	for _, fault := range []faultproxy.Fault{faultproxy.Record(h.record), h.gate.Hold} {
		h.rules = append(h.rules, env.Proxy.Inject(status, fault))
	}
	t.Cleanup(h.holdNoMore)
	return h
}

// holdNoMore forwards later writes at once, but not those already held.
func (h *heldWrite) holdNoMore() {
	for _, rule := range h.rules {
		rule.Remove()
	}
}

func (h *heldWrite) record(status int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.statuses = append(h.statuses, status)
}

// release forwards the writes, and expects a conflict for the first one.
func (h *heldWrite) release(t *testing.T) {
	t.Helper()
	h.gate.Open()
	env.Eventually(t, "the response to the held write", func(context.Context) error {
		if len(h.answers()) == 0 {
			return errors.New("none")
		}
		return nil
	})
	if first := h.answers()[0]; first != http.StatusConflict {
		t.Errorf("the API server answered %d to the late write, want 409", first)
	}
}

func (h *heldWrite) answers() []int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.statuses)
}

// named gives a request a fixed name instead of a generated one.
func named(request *cmapi.CertificateRequest, name string) *cmapi.CertificateRequest {
	request.GenerateName, request.Name = "", name
	return request
}

// TestLateResultMeetsASuccessor replaces a request by another one with the same name while its
// result is in flight. It counts errors, so it must not run in parallel.
func TestLateResultMeetsASuccessor(t *testing.T) {
	namespace, first, second := newNamespace(t), newKey(t), newKey(t)
	createKeySecret(t, namespace, first)
	env.Create(t, keySecret(namespace, "second", map[string][]byte{"tls.key": keyPEM(t, second)}))
	held := holdWrites(t, namespace, "request")
	errorsBefore := metric(t, reconcileErrors)

	gone := named(newRequest(t, namespace, first), "request")
	env.Create(t, gone)
	awaitArrival(t, held.gate)
	if err := env.Client.Delete(t.Context(), gone); err != nil {
		t.Fatal(err)
	}
	successor := named(newRequest(t, namespace, second), "request")
	successor.Annotations[cmapi.CertificateRequestPrivateKeyAnnotationKey] = "second"
	env.Create(t, successor)
	env.Eventually(t, "approval of the successor", func(context.Context) error {
		env.Get(t, successor)
		if !cmutil.CertificateRequestIsApproved(successor) {
			return errors.New("not approved")
		}
		return nil
	})
	held.release(t)

	awaitReady(t, successor, cmmeta.ConditionTrue, "Issued", "Secret "+namespace+"/second")
	checkWrites(t, successor, writesIssued)
	checkEvents(t, successor, "CertificateIssued")
	public := mustParse(t, successor.Status.Certificate).PublicKey.(interface{ Equal(crypto.PublicKey) bool })
	if !public.Equal(second.Public()) {
		t.Error("the successor has the certificate of its predecessor's key")
	}
	if answers := held.answers(); !slices.Equal(answers, []int{http.StatusConflict, http.StatusOK}) {
		t.Errorf("the API server answered %d to the writes, want one conflict and one success", answers)
	}
	checkNoTrace(t, gone, errorsBefore)
}

// TestLostAnswer closes the connection after the last write to a request: the certificate is
// reported once.
func TestLostAnswer(t *testing.T) {
	t.Parallel()
	namespace, key := newNamespace(t), newKey(t)
	createKeySecret(t, namespace, key)
	request, csr := newRequest(t, namespace, key), newCSR(t, namespacedSigner+namespace+".issuer", "key", key)
	csr.GenerateName, csr.Name = "", namespace
	for _, path := range []string{
		"/apis/cert-manager.io/v1/namespaces/" + namespace + "/certificaterequests/.*/status",
		"/apis/certificates.k8s.io/v1/certificatesigningrequests/" + csr.Name + "/status",
	} {
		rule := env.Proxy.Inject(faultproxy.On("PATCH", path), faultproxy.LoseAnswer())
		t.Cleanup(rule.Remove)
	}
	env.Create(t, request)
	env.Create(t, csr)
	approve(t, csr)
	checkIssued(t, request)
	awaitCSRIssued(t, csr, namespace+"/key")
	checkEvents(t, request, "CertificateIssued")
	checkEvents(t, csr, "CertificateIssued")
}

// TestLateResultMeetsAnotherResult has an administrator finish a request while the result of
// selfsigned-issuer is in flight. It counts errors, so it must not run in parallel.
func TestLateResultMeetsAnotherResult(t *testing.T) {
	for name, finish := range map[string]func(*cmapi.CertificateRequest){
		"certificate": func(r *cmapi.CertificateRequest) { r.Status.Certificate = []byte("from elsewhere") },
		"failed":      func(r *cmapi.CertificateRequest) { setReady(r, cmmeta.ConditionFalse, "Failed") },
	} {
		t.Run(name, func(t *testing.T) {
			namespace, key := newNamespace(t), newKey(t)
			createKeySecret(t, namespace, key)
			held := holdWrites(t, namespace, "request")
			errorsBefore := metric(t, reconcileErrors)
			request := named(newRequest(t, namespace, key), "request")
			env.Create(t, request)
			awaitArrival(t, held.gate)
			updateStatus(t, request, finish)
			before := request.DeepCopy()
			held.release(t)
			barrier(t, namespace, key)
			env.Get(t, request)
			if request.ResourceVersion != before.ResourceVersion {
				t.Errorf("the request was written again: %+v", request.Status)
			}
			if answers := held.answers(); len(answers) != 1 {
				t.Errorf("the API server answered %d to the writes, want only one conflict", answers)
			}
			checkNoTrace(t, request, errorsBefore)
		})
	}
}

// checkNoTrace checks that a conflict caused no event, no logged error and no error in the metrics.
func checkNoTrace(t *testing.T, request *cmapi.CertificateRequest, errorsBefore float64) {
	t.Helper()
	checkEvents(t, request)
	checkLogsNoError(t, request.Namespace)
	if got := metric(t, reconcileErrors) - errorsBefore; got != 0 {
		t.Errorf("a conflict counts as %v errors", got)
	}
}

// updateStatus writes the status of a request as administrator.
func updateStatus(t *testing.T, request *cmapi.CertificateRequest, edit func(*cmapi.CertificateRequest)) {
	t.Helper()
	env.Eventually(t, "writing the status of "+request.Name, func(ctx context.Context) error {
		env.Get(t, request)
		edit(request)
		if err := env.Client.Status().Update(ctx, request); err != nil {
			return err
		}
		return nil
	})
}

// setReady replaces the Ready condition.
func setReady(request *cmapi.CertificateRequest, status cmmeta.ConditionStatus, reason string) {
	request.Status.Conditions = slices.DeleteFunc(request.Status.Conditions, func(c cmapi.CertificateRequestCondition) bool {
		return c.Type == cmapi.CertificateRequestConditionReady
	})
	now := metav1.Now()
	request.Status.Conditions = append(request.Status.Conditions, cmapi.CertificateRequestCondition{
		Type: cmapi.CertificateRequestConditionReady, Status: status, Reason: reason, Message: "by a test", LastTransitionTime: &now,
	})
}

// TestWaitsAreNoErrors has pending requests of every kind, and checks controller-runtime's counter
// of errors. It must not run in parallel.
func TestWaitsAreNoErrors(t *testing.T) {
	namespace, key := newNamespace(t), newKey(t)
	before := metric(t, reconcileErrors)
	request := newRequest(t, namespace, key)
	request.Spec.IssuerRef.Name = "later"
	env.Create(t, request)
	awaitEventReason(t, request, "IssuerNotFound")
	gate := holdChecks(t, namespace, "later")
	issuer := newIssuer(namespace, "later")
	env.Create(t, issuer)
	awaitArrival(t, gate)
	gate.Open()
	awaitEventReason(t, request, "MissingSecret")
	env.Create(t, keySecret(namespace, "key", map[string][]byte{"other": []byte("x")}))
	awaitEventReason(t, request, "MissingPrivateKey")
	updateKeySecret(t, namespace, []byte("not a key"))
	awaitEventReason(t, request, "ErrorParsingKey")
	updateKeySecret(t, namespace, keyPEM(t, newKey(t)))
	awaitEventReason(t, request, "WaitingForMatchingKey")
	replaceKeySecret(t, namespace, key)
	checkIssued(t, request)
	if got := metric(t, reconcileErrors) - before; got != 0 {
		t.Errorf("pending requests count as %v errors", got)
	}
	checkLogsNoError(t, namespace)
	for _, event := range eventsOf(t, request) {
		if event.Series != nil {
			t.Errorf("event %s was sent %d times", event.Reason, event.Series.Count)
		}
	}
}
