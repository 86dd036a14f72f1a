// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package issuance_test

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/certmanager"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
)

// TestWakesWithinASecond measures the time from the fix to the certificate of a pending request,
// 100 times per cause.
func TestWakesWithinASecond(t *testing.T) {
	key := newKey(t)
	for _, test := range []struct {
		name      string
		prepare   func(t *testing.T, namespace, object string)
		ownIssuer bool   // the request is for an issuer with the name of the object
		event     string // of the pending request
		wake      func(t *testing.T, namespace, object string, tlsKey []byte)
	}{
		{
			name: "Secret created", prepare: func(*testing.T, string, string) {}, event: "MissingSecret",
			wake: func(t *testing.T, namespace, object string, tlsKey []byte) {
				env.Create(t, keySecret(namespace, object, map[string][]byte{"tls.key": tlsKey}))
			},
		},
		{
			name: "Secret changed", event: "MissingPrivateKey", wake: updateSecret,
			prepare: func(t *testing.T, namespace, object string) { env.Create(t, keySecret(namespace, object, nil)) },
		},
		{
			name: "Secret labeled", event: "MissingPrivateKey", wake: updateSecret,
			prepare: func(t *testing.T, namespace, object string) { createUnlabeled(t, namespace, object) },
		},
		{
			name: "issuer created", ownIssuer: true, event: "IssuerNotFound",
			prepare: func(t *testing.T, namespace, object string) {
				env.Create(t, keySecret(namespace, object, map[string][]byte{"tls.key": keyPEM(t, key)}))
			},
			wake: func(t *testing.T, namespace, object string, _ []byte) { env.Create(t, newIssuer(namespace, object)) },
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			namespace, tlsKey := newNamespace(t), keyPEM(t, key)
			const count = 100
			requests := make([]*cmapi.CertificateRequest, count)
			for i := range requests {
				object := fmt.Sprintf("object-%d", i)
				test.prepare(t, namespace, object)
				requests[i] = createRequest(t, namespace, key, forSecret(object), func(r *cmapi.CertificateRequest) {
					if test.ownIssuer {
						r.Spec.IssuerRef.Name = object
					}
				})
			}
			awaitEvents(t, namespace, test.event, count)
			signed := watchSigned(t, namespace)
			var took []time.Duration
			for i := range count {
				start := time.Now()
				test.wake(t, namespace, fmt.Sprintf("object-%d", i), tlsKey)
				select {
				case <-signed:
					took = append(took, time.Since(start))
				case <-time.After(timeout):
					t.Fatalf("request %d was not signed", i)
				}
			}
			slices.Sort(took)
			p50, p99 := took[count/2-1], took[count*99/100-1]
			t.Logf("to the certificate: p50 %s, p99 %s", p50, p99)
			expect.True(t, p99 <= time.Second, "p99 of %d is %s, want at most 1s", count, p99)
			for _, request := range requests {
				env.Get(t, request)
				expect.True(t, len(request.Status.Certificate) > 0, "%s has no certificate", request.Name)
			}
		})
	}
}

// createUnlabeled creates an empty Secret without cert-manager's label, which is not watched.
func createUnlabeled(t *testing.T, namespace, name string) *corev1.Secret {
	t.Helper()
	secret := keySecret(namespace, name, nil)
	secret.Labels = nil
	env.Create(t, secret)
	return secret
}

// TestUnlabeledSecretIsPolled expects that a Secret without cert-manager's label is found, also
// after a change.
func TestUnlabeledSecretIsPolled(t *testing.T) {
	t.Parallel()
	namespace, key := newNamespace(t), newKey(t)
	request := createRequest(t, namespace, key)
	awaitEventReason(t, request, "MissingSecret")
	secret := createUnlabeled(t, namespace, "key")
	awaitEventReason(t, request, "MissingPrivateKey")
	secret.Data = map[string][]byte{"tls.key": keyPEM(t, key)}
	start := time.Now()
	env.Update(t, secret)
	checkIssued(t, request)
	if took := time.Since(start); took > 31*time.Second {
		t.Errorf("to the certificate: %s, want at most 31s", took)
	}
}

func awaitEvents(t *testing.T, namespace, reason string, count int) {
	t.Helper()
	env.Eventually(t, fmt.Sprintf("%d events %s", count, reason), func(context.Context) error {
		var list eventsv1.EventList
		env.List(t, &list, client.InNamespace(namespace))
		about := map[types.UID]bool{}
		for _, event := range list.Items {
			if event.Reason == reason {
				about[event.Regarding.UID] = true
			}
		}
		if len(about) < count {
			return fmt.Errorf("%d requests have the event", len(about))
		}
		return nil
	})
}

// watchSigned sends the name of each request in a namespace when it has a certificate.
func watchSigned(t *testing.T, namespace string) <-chan string {
	t.Helper()
	watcher, err := env.Client.Watch(t.Context(), &cmapi.CertificateRequestList{}, client.InNamespace(namespace))
	expect.NoError(t, err)
	t.Cleanup(watcher.Stop)
	names := make(chan string, 1000)
	go func() {
		for event := range watcher.ResultChan() {
			request, ok := event.Object.(*cmapi.CertificateRequest)
			if ok && event.Type == watch.Modified && len(request.Status.Certificate) > 0 {
				names <- request.Name
			}
		}
	}()
	return names
}

// TestFinishedRequestsSleep changes a Secret of many finished requests every 100 ms: nothing is
// reconciled. It must not run in parallel, because it counts reconciles.
func TestFinishedRequestsSleep(t *testing.T) {
	deleteRequests(t)
	namespace, key := newNamespace(t, certmanager.DisableValidationLabel), newKey(t)
	createKeySecret(t, namespace, key)
	env.Create(t, keySecret(namespace, "later", nil)) // labeled, so that it is not polled
	const count = 200
	createFinished(t, namespace, key, count)
	waits := createRequest(t, namespace, key, forSecret("later"))
	awaitEventReason(t, waits, "MissingPrivateKey")
	env.Eventually(t, "rest", func(context.Context) error {
		busy := metric(t, "controller_runtime_active_workers{controller=\"certificaterequest.") +
			metric(t, "workqueue_depth{controller=\"certificaterequest.")
		if busy > 0 {
			return fmt.Errorf("%v requests are being reconciled", busy)
		}
		return nil
	})

	before := metric(t, reconcileTotal)
	const changes = 20
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for i := range changes {
		<-ticker.C
		env.Update(t, keySecret(namespace, "key", map[string][]byte{"tls.key": keyPEM(t, key), "change": []byte(strconv.Itoa(i))}))
	}
	// The watch is ordered: when a change of a later Secret has triggered the pending request, the
	// earlier changes have arrived. This is the only reconcile.
	updateSecret(t, namespace, "later", keyPEM(t, key))
	awaitReady(t, waits, "Issued", "Secret "+namespace+"/later")
	env.Eventually(t, "the count of that reconcile", func(context.Context) error { // the write is visible before the count
		if metric(t, reconcileTotal) <= before {
			return errors.New("not yet")
		}
		return nil
	})
	if got := metric(t, reconcileTotal) - before - 1; got != 0 {
		t.Errorf("%d changes of a Secret that %d finished requests name led to %v reconciles, want none", changes, count, got)
	}
}

// deleteRequests deletes the requests of earlier tests, which may poll their Secrets.
func deleteRequests(t *testing.T) {
	t.Helper()
	var all cmapi.CertificateRequestList
	env.List(t, &all)
	for i := range all.Items {
		expect.NoError(t, client.IgnoreNotFound(env.Client.Delete(t.Context(), &all.Items[i])))
	}
}

// createFinished creates requests with a copied certificate, which are approved in the same write,
// to limit the work of cert-manager's approver.
func createFinished(t *testing.T, namespace string, key crypto.Signer, count int) {
	t.Helper()
	model := createRequest(t, namespace, key)
	checkIssued(t, model)
	for range count {
		finished := createRequest(t, namespace, key)
		env.ChangeStatus(t, finished, func() { finished.Status = model.Status }) // the approver also writes it
	}
	var list cmapi.CertificateRequestList
	if env.List(t, &list, client.InNamespace(namespace)); len(list.Items) != count+1 {
		t.Fatalf("%d finished requests, want %d", len(list.Items), count)
	}
}
