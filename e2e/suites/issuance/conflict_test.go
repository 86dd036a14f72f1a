// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package issuance_test

import (
	"context"
	"crypto"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
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

// holdChecks does the same for an issuer.
func holdChecks(t *testing.T, namespace, name string) *heldWrite {
	t.Helper()
	return holdPatches(t, "/apis/selfsigned.cert-manager.io/v1alpha1/namespaces/"+namespace+"/selfsignedissuers/"+name+"/status")
}

func holdPatches(t *testing.T, path string) *heldWrite {
	t.Helper()
	h := &heldWrite{gate: faultproxy.NewGate()}
	t.Cleanup(h.gate.Open)
	for _, fault := range []faultproxy.Fault{faultproxy.Record(h.record), h.gate.Hold} {
		h.rules = append(h.rules, inject(t, "PATCH", path, fault))
	}
	return h
}

// holdNoMore forwards later writes at once, but not those already held.
func (h *heldWrite) holdNoMore() {
	for _, rule := range h.rules {
		rule.Remove()
	}
}

func (h *heldWrite) awaitArrival(t *testing.T) {
	t.Helper()
	select {
	case <-h.gate.Arrived():
	case <-time.After(timeout):
		t.Fatal("the gate holds no request")
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
	expect.Equal(t, "response to the late write", http.StatusConflict, h.answers()[0])
}

func (h *heldWrite) answers() []int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.statuses)
}

// checkNoTrace checks that a conflict caused no event, no logged error and no error in the metrics.
func checkNoTrace(t *testing.T, request *cmapi.CertificateRequest, errorsBefore float64) {
	t.Helper()
	checkEvents(t, request)
	checkLogsNoError(t, request.Namespace)
	checkErrorsSince(t, errorsBefore)
}

// TestLateResultMeetsASuccessor replaces a request by another one with the same name while its
// result is in flight. It counts errors, so it must not run in parallel.
func TestLateResultMeetsASuccessor(t *testing.T) {
	namespace, first := newNamespaceAndKey(t)
	second := newKey(t)
	env.Create(t, keySecret(namespace, "second", map[string][]byte{"tls.key": keyPEM(t, second)}))
	held := holdWrites(t, namespace, "request")
	errorsBefore := metric(t, reconcileErrors)

	gone := createRequest(t, namespace, first, named("request"))
	held.awaitArrival(t)
	env.Delete(t, gone)
	successor := createRequest(t, namespace, second, named("request"), forSecret("second"))
	awaitApproved(t, successor)
	held.release(t)

	awaitReady(t, successor, "Issued", "Secret "+namespace+"/second")
	checkWrites(t, successor, writesIssued)
	checkEvents(t, successor, "CertificateIssued")
	public := mustParse(t, successor.Status.Certificate).PublicKey.(interface{ Equal(crypto.PublicKey) bool })
	expect.True(t, public.Equal(second.Public()), "the successor has the certificate of its predecessor's key")
	expect.Equal(t, "responses to the writes", []int{http.StatusConflict, http.StatusOK}, held.answers())
	checkNoTrace(t, gone, errorsBefore)
}

// TestLostAnswer closes the connection after the last write to a request: the certificate is
// reported once.
func TestLostAnswer(t *testing.T) {
	t.Parallel()
	namespace, key := newNamespaceAndKey(t)
	csr := newCSR(t, namespacedSigner+namespace+".issuer", key)
	csr.GenerateName, csr.Name = "", namespace
	for _, path := range []string{
		"/apis/cert-manager.io/v1/namespaces/" + namespace + "/certificaterequests/.*/status",
		"/apis/certificates.k8s.io/v1/certificatesigningrequests/" + csr.Name + "/status",
	} {
		inject(t, "PATCH", path, faultproxy.LoseAnswer())
	}
	request := createRequest(t, namespace, key)
	createApproved(t, env.Client, csr)
	checkIssued(t, request)
	awaitCSRIssued(t, csr, namespace)
	checkEvents(t, request, "CertificateIssued")
	checkEvents(t, csr, "CertificateIssued")
}

// TestLateResultMeetsAnotherResult has an administrator finish a request while the result of
// selfsigned-issuer is in flight. It counts errors, so it must not run in parallel.
func TestLateResultMeetsAnotherResult(t *testing.T) {
	for name, finish := range map[string]requestEdit{
		"certificate": func(r *cmapi.CertificateRequest) { r.Status.Certificate = []byte("from elsewhere") },
		"failed":      func(r *cmapi.CertificateRequest) { setReady(r, "Failed") },
	} {
		t.Run(name, func(t *testing.T) {
			namespace, key := newNamespaceAndKey(t)
			held := holdWrites(t, namespace, "request")
			errorsBefore := metric(t, reconcileErrors)
			request := createRequest(t, namespace, key, named("request"))
			held.awaitArrival(t)
			env.ChangeStatus(t, request, func() { finish(request) })
			held.release(t)
			barrier(t, namespace, key)
			checkNotWritten(t, request)
			expect.Equal(t, "responses to the writes", []int{http.StatusConflict}, held.answers())
			checkNoTrace(t, request, errorsBefore)
		})
	}
}

// TestWaitsAreNoErrors has pending requests of every kind, and checks controller-runtime's counter
// of errors. It must not run in parallel.
func TestWaitsAreNoErrors(t *testing.T) {
	namespace, key := newNamespace(t), newKey(t)
	before := metric(t, reconcileErrors)
	request := createRequest(t, namespace, key, forIssuer("later"))
	awaitEventReason(t, request, "IssuerNotFound")
	held := holdChecks(t, namespace, "later")
	env.Create(t, newIssuer(namespace, "later"))
	held.awaitArrival(t)
	held.gate.Open()
	awaitEventReason(t, request, "MissingSecret")
	env.Create(t, keySecret(namespace, "key", map[string][]byte{"other": []byte("x")}))
	awaitEventReason(t, request, "MissingPrivateKey")
	updateSecret(t, namespace, "key", []byte("not a key"))
	awaitEventReason(t, request, "ErrorParsingKey")
	replaceKeySecret(t, namespace, newKey(t))
	awaitEventReason(t, request, "WaitingForMatchingKey")
	replaceKeySecret(t, namespace, key)
	checkIssued(t, request)
	checkErrorsSince(t, before)
	checkLogsNoError(t, namespace)
	for _, event := range eventsOf(t, request) {
		expect.True(t, event.Series == nil, "event %s was sent again: %v", event.Reason, event.Series)
	}
}

// TestOneCertificatePerRequest edits signed requests and changes the leader: none of them is
// written again, not even by a result in flight of the deposed leader. It must not run in parallel,
// because other tests would wait for the new leader.
func TestOneCertificatePerRequest(t *testing.T) {
	namespace, key := newNamespaceAndKey(t)
	var requests []*cmapi.CertificateRequest
	for range 10 {
		requests = append(requests, createRequest(t, namespace, key))
	}
	for i, request := range requests {
		checkIssued(t, request)
		if i%2 == 0 {
			edit(t, request)
		}
	}
	held := holdWrites(t, namespace, "last")
	last := createRequest(t, namespace, key, named("last"))
	held.awaitArrival(t)
	held.holdNoMore()
	deposeLeader(t)
	checkIssued(t, last) // by the new leader
	edit(t, last)
	held.release(t)
	barrier(t, namespace, key)
	for _, request := range append(requests, last) {
		checkNotWritten(t, request)
		checkEvents(t, request, "CertificateIssued")
	}
}

// deposeLeader starts a second replica and rejects renewals of the Lease by the first one, which exits.
func deposeLeader(t *testing.T) {
	t.Helper()
	rule := inject(t, "PUT", "/apis/coordination.k8s.io/v1/.*/leases/.*",
		faultproxy.Status(http.StatusConflict, metav1.StatusReasonConflict, "the Lease has been modified"))
	replica, err := env.Installation.Start(t.Context(), env.Binary, "second", issuerArgs...)
	expect.NoError(t, err)
	deposed := env.Issuer
	env.Issuer = replica
	select {
	case <-deposed.Done():
	case <-time.After(timeout):
		t.Fatal("the leader that cannot renew its Lease is still running")
	}
	expect.True(t, strings.Contains(deposed.Tail(10), "leader election lost"),
		"the deposed leader does not log why it ended:\n%s", deposed.Tail(10))
	rule.Remove()
	expect.NoError(t, replica.AwaitReady(t.Context()))
}
