// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package issuance_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	selfsigned "github.com/cert-manager/selfsigned-issuer/api/v1alpha1"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/faultproxy"
)

// TestSecretReadFails injects faults into reads of the key: the request is Pending until the API
// server responds.
func TestSecretReadFails(t *testing.T) {
	for _, test := range []struct {
		name  string
		fault faultproxy.Fault
		says  string
	}{
		{"429", faultproxy.Status(http.StatusTooManyRequests, metav1.StatusReasonTooManyRequests, "too many requests, please try again later"), "too many requests, please try again later"},
		{"500", faultproxy.Status(http.StatusInternalServerError, metav1.StatusReasonInternalError, "an error on the server"), "an error on the server"},
		{"503", faultproxy.Status(http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable, "100%d of etcd is down."), "100%d of etcd is down"},
		{"504", faultproxy.Status(http.StatusGatewayTimeout, metav1.StatusReasonTimeout, "etcdserver: request timed out"), "etcdserver: request timed out"},
		{"connection cut", faultproxy.Reset(), "the connection was closed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			namespace, key := newNamespace(t), newKey(t)
			createKeySecret(t, namespace, key)
			rule := env.Proxy.Inject(faultproxy.On("GET", "/api/v1/namespaces/"+namespace+"/secrets/key"), test.fault)
			t.Cleanup(rule.Remove)
			request := newRequest(t, namespace, key)
			env.Create(t, request)
			awaitPending(t, request, "Warning", "ErrorGettingSecret", "Secret "+namespace+"/key", test.says)
			written := request.ResourceVersion
			const attempts = 8 // two reads per reconcile
			env.Eventually(t, "more attempts", func(context.Context) error {
				if hits := rule.Hits(); hits < attempts {
					return fmt.Errorf("%d reads", hits)
				}
				return nil
			})
			env.Get(t, request)
			if request.ResourceVersion != written {
				t.Errorf("the same failure was written again: %+v", request.Status)
			}
			rule.Remove()
			checkIssued(t, request)
			checkEvents(t, request, "ErrorGettingSecret", "CertificateIssued")
			if len(loggedErrors(t, namespace)) == 0 {
				t.Error("a failure of the API server is not logged as an error")
			}
		})
	}
}

// holdChecks delays the status writes of an issuer until the gate is opened.
func holdChecks(t *testing.T, namespace, issuer string) *faultproxy.Gate {
	t.Helper()
	gate := faultproxy.NewGate()
	t.Cleanup(gate.Open)
	rule := env.Proxy.Inject(faultproxy.On("PATCH", "/apis/selfsigned.cert-manager.io/v1alpha1/namespaces/"+namespace+"/selfsignedissuers/"+issuer+"/status"), gate.Hold)
	t.Cleanup(rule.Remove)
	return gate
}

func awaitArrival(t *testing.T, gate *faultproxy.Gate) {
	t.Helper()
	select {
	case <-gate.Arrived():
	case <-time.After(timeout):
		t.Fatal("the gate holds no request")
	}
}

// TestIssuerNotChecked delays the status of a new issuer.
func TestIssuerNotChecked(t *testing.T) {
	t.Parallel()
	namespace, key := newNamespace(t), newKey(t)
	createKeySecret(t, namespace, key)
	gate := holdChecks(t, namespace, "new")
	env.Create(t, newIssuer(namespace, "new"))
	awaitArrival(t, gate)
	request := newRequest(t, namespace, key)
	request.Spec.IssuerRef.Name = "new"
	env.Create(t, request)
	awaitPending(t, request, "Normal", "IssuerNotChecked", "SelfSignedIssuer "+namespace+"/new")
	gate.Open()
	checkIssued(t, request)
	checkEvents(t, request, "IssuerNotChecked", "CertificateIssued")
	checkLogsNoError(t, namespace)
}

// TestIssuerNotSeen delays the watch of issuers. An existing issuer is not reported as missing,
// even if it is not in the cache. It must not run in parallel.
func TestIssuerNotSeen(t *testing.T) {
	namespace, key := newNamespace(t), newKey(t)
	createKeySecret(t, namespace, key)
	watch := env.Proxy.Inject(faultproxy.On("GET", "/apis/selfsigned.cert-manager.io/v1alpha1/selfsignedissuers"), faultproxy.Silence())
	t.Cleanup(func() {
		watch.Remove()
		env.Proxy.CutConnections()
	})
	env.Proxy.CutConnections()
	env.Eventually(t, "a watch without a response", func(context.Context) error {
		if watch.Hits() == 0 {
			return errors.New("not yet")
		}
		return nil
	})
	env.Create(t, newIssuer(namespace, "unseen"))
	request := newRequest(t, namespace, key)
	request.Spec.IssuerRef.Name = "unseen"
	lookup := env.Proxy.Inject(faultproxy.On("GET", "/apis/selfsigned.cert-manager.io/v1alpha1/namespaces/"+namespace+"/selfsignedissuers"),
		faultproxy.Status(http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable, "etcd is down"))
	t.Cleanup(lookup.Remove)
	env.Create(t, request)
	awaitPending(t, request, "Warning", "ErrorGettingIssuer", "SelfSignedIssuer "+namespace+"/unseen", "etcd is down")
	lookup.Remove()
	// Closing connections could lose this event.
	awaitOutcome(t, request, cmmeta.ConditionFalse, "Pending", "Normal", "IssuerNotChecked", "SelfSignedIssuer "+namespace+"/unseen")
	watch.Remove()
	env.Proxy.CutConnections()
	checkIssued(t, request)
	checkEvents(t, request, "ErrorGettingIssuer", "IssuerNotChecked", "CertificateIssued")
}

// TestIssuerReadyForAnOlderGeneration delays the status of a changed issuer: nothing is signed with
// the old spec.
func TestIssuerReadyForAnOlderGeneration(t *testing.T) {
	t.Parallel()
	namespace, key := newNamespace(t), newKey(t)
	createKeySecret(t, namespace, key)
	first := newRequest(t, namespace, key)
	env.Create(t, first)
	checkIssued(t, first)
	gate := holdChecks(t, namespace, "issuer")
	changeIssuer(t, namespace, func(spec *selfsigned.SelfSignedIssuerSpec) {
		spec.CRLDistributionPoints = []string{"http://example.com/crl"}
	})
	awaitArrival(t, gate)
	request := newRequest(t, namespace, key)
	env.Create(t, request)
	awaitPending(t, request, "Normal", "IssuerOutdated", "SelfSignedIssuer "+namespace+"/issuer")
	gate.Open()
	checkIssued(t, request)
	if points := mustParse(t, request.Status.Certificate).CRLDistributionPoints; len(points) != 1 {
		t.Errorf("CRL distribution points %q, want the issuer's new one", points)
	}
	checkEvents(t, request, "IssuerOutdated", "CertificateIssued")
	checkLogsNoError(t, namespace)
}

// awaitChecked waits until the current spec of a namespace's issuer has been checked.
func awaitChecked(t *testing.T, namespace string) {
	t.Helper()
	env.Eventually(t, "the check of the issuer", func(context.Context) error {
		issuer := newIssuer(namespace, "issuer")
		env.Get(t, issuer)
		ready := apimeta.FindStatusCondition(issuer.Status.Conditions, "Ready")
		if ready == nil || ready.Status != metav1.ConditionTrue || ready.ObservedGeneration != issuer.Generation {
			return fmt.Errorf("generation %d: %+v", issuer.Generation, issuer.Status)
		}
		return nil
	})
}

// changeIssuer changes the spec of a namespace's issuer.
func changeIssuer(t *testing.T, namespace string, edit func(*selfsigned.SelfSignedIssuerSpec)) {
	t.Helper()
	env.Eventually(t, "changing the issuer", func(ctx context.Context) error {
		issuer := newIssuer(namespace, "issuer")
		env.Get(t, issuer)
		edit(&issuer.Spec)
		if err := env.Client.Update(ctx, issuer); err != nil {
			return err
		}
		return nil
	})
}
