// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"fmt"
	"runtime"
	"testing"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/uuid"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
)

// TestPlaceholderSizes measures the memory of placeholders in the cache, with the keys and the index
// by namespace of its store.
func TestPlaceholderSizes(t *testing.T) {
	const count, limit = 10_000, 300
	key := ecdsaKey(t)
	named := func(o client.Object, i int) client.Object {
		o.SetNamespace(fmt.Sprintf("tenant-%d", i%100))
		o.SetName(fmt.Sprintf("my-application-tls-%d", i))
		o.SetUID(types.UID(string(uuid.NewUUID())))
		o.SetResourceVersion(fmt.Sprint(1_000_000 + i))
		decorate(o)
		return o
	}
	for name, object := range map[string]func(i int) client.Object{
		"finished request": func(i int) client.Object { return named(issuedRequest(t, key), i) },
		"foreign request": func(i int) client.Object {
			request := issuedRequest(t, key)
			request.Spec.IssuerRef.Group = "example.com"
			return named(request, i)
		},
		"foreign CSR": func(i int) client.Object {
			csr := &certificatesv1.CertificateSigningRequest{}
			csr.Spec.SignerName, csr.Spec.Request = "kubernetes.io/kubelet-serving", bytes.Clone(large)
			named(csr, i).SetNamespace("")
			return csr
		},
		"Secret": func(i int) client.Object { return named(&metav1.PartialObjectMetadata{}, i) },
	} {
		t.Run(name, func(t *testing.T) {
			store := toolscache.NewIndexer(toolscache.DeletionHandlingMetaNamespaceKeyFunc, toolscache.Indexers{
				toolscache.NamespaceIndex: toolscache.MetaNamespaceIndexFunc,
			})
			before := heap()
			for i := range count {
				kept, err := stripUnusedFields(object(i))
				if err != nil {
					t.Fatal(err)
				}
				if err := store.Add(kept); err != nil {
					t.Fatal(err)
				}
			}
			size := (heap() - before) / count
			t.Logf("%d bytes", size)
			if size > limit {
				t.Errorf("%d bytes are kept, want at most %d", size, limit)
			}
			runtime.KeepAlive(store)
		})
	}
}

// heap returns the size of the heap in use.
func heap() int64 {
	var stats runtime.MemStats
	for range 3 { // finalizers and pools take more than one
		runtime.GC()
	}
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

func issuedRequest(t *testing.T, key *ecdsa.PrivateKey) *cmapi.CertificateRequest {
	t.Helper()
	request := approvedRequest(t, key, time.Now())
	request.Status.Certificate, request.Status.CA = bytes.Clone(large), bytes.Clone(large)
	return request
}

// TestPlaceholderEvents: a finished request in the cache is not reconciled, and a re-created request
// with the same name is.
func TestPlaceholderEvents(t *testing.T) {
	t.Parallel()
	kind, key, tracker := certificateRequests(), ecdsaKey(t), newPendingTracker()
	wakes, foreign := requestPredicate(kind), statusChangedByOthers(kind, tracker)
	pending := approvedRequest(t, key, time.Now())
	done, other := stripCertificateRequest(issuedRequest(t, key)), stripCertificateRequest(&cmapi.CertificateRequest{})
	if wakes.Create(event.CreateEvent{Object: done}) || wakes.Create(event.CreateEvent{Object: other}) {
		t.Error("a finished or a foreign request is reconciled")
	}
	if update := (event.UpdateEvent{ObjectOld: pending, ObjectNew: done}); wakes.Update(update) || foreign.Update(update) {
		t.Error("a request that became finished is reconciled")
	}
	again := pending.DeepCopy()
	again.UID = "another"
	if !wakes.Update(event.UpdateEvent{ObjectOld: done, ObjectNew: again}) {
		t.Error("a request that was created again is not reconciled")
	}
	if !wakes.Delete(event.DeleteEvent{Object: done}) || wakes.Delete(event.DeleteEvent{Object: other}) {
		t.Error("of the finished and the foreign request, only the first one is to be forgotten")
	}
	if indexed := [][]string{kind.secretsWaitedFor(done), kind.issuersWaitedFor(done), kind.unfinished(done), kind.unfinished(other)}; fmt.Sprint(indexed) != "[[] [] [] []]" {
		t.Errorf("indexed by %q", indexed)
	}
	tracker.markReported(client.ObjectKeyFromObject(pending), pending.UID, ReasonSecretNotFound)
	forgetFinished(kind, tracker).Update(context.Background(), event.UpdateEvent{ObjectOld: pending, ObjectNew: done}, nil)
	if len(tracker.byID) > 0 {
		t.Error("a finished request is remembered")
	}
}
