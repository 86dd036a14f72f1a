// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/cert-manager/selfsigned-issuer/controllers/internal/request"
	"github.com/cert-manager/selfsigned-issuer/controllers/internal/testsupport"
)

// waitingRequests is a cache in which each request is pending for each Secret.
type waitingRequests struct {
	client.Reader
	items []cmapi.CertificateRequest
}

func (w waitingRequests) List(_ context.Context, list client.ObjectList, _ ...client.ListOption) error {
	list.(*cmapi.CertificateRequestList).Items = w.items
	return nil
}

// TestTogglingSecret changes the Secret of a pending request ten times a second for a minute. The
// request is reconciled with backoff, and after the last change. After a time without changes, a
// change triggers a reconcile at once.
func TestTogglingSecret(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		queue := priorityqueue.New[ctrl.Request]("test")
		defer queue.ShutDown()
		pending := testsupport.PendingRequest("waits")
		pending.UID = "uid"
		enqueue := enqueuer{reader: waitingRequests{items: []cmapi.CertificateRequest{*pending}}, kind: request.CertificateRequests(), tracker: newPendingTracker(), clock: clock.RealClock{}}
		enqueue.tracker.recordMessage(client.ObjectKeyFromObject(pending), pending.UID, "Waiting for Secret sandbox/key.")
		start := time.Now()
		var looks []time.Duration
		go func() {
			for {
				request, _, stopped := queue.GetWithPriority()
				if stopped {
					return
				}
				looks = append(looks, time.Since(start))
				queue.Done(request)
			}
		}()
		change := func() {
			secret := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: "sandbox", Name: "key"}}
			enqueue.enqueueForSecret().Update(t.Context(), event.UpdateEvent{ObjectOld: secret, ObjectNew: secret}, queue)
			synctest.Wait()
		}
		for range 600 {
			change()
			time.Sleep(100 * time.Millisecond) //nolint:forbidigo // of synctest
		}
		last := time.Since(start) - 100*time.Millisecond
		time.Sleep(triggerMaxDelay) //nolint:forbidigo // of synctest
		synctest.Wait()
		if len(looks) < 12 || len(looks) > 20 || looks[0] != 0 || looks[1] != triggerBaseDelay {
			t.Errorf("%d reconciles: %v, want about 17, two of them at once", len(looks), looks)
		}
		if final := looks[len(looks)-1]; final < last || final > last+triggerMaxDelay {
			t.Errorf("the last reconcile is after %s, and the last change was after %s", final, last)
		}
		time.Sleep(triggerReset) //nolint:forbidigo // of synctest
		quiet := len(looks)
		change()
		if len(looks) != quiet+1 || looks[quiet] != time.Since(start) {
			t.Errorf("after a time without changes, a change did not trigger a reconcile at once: %v", looks[quiet:])
		}
	})
}

// TestPriorities: requests that are triggered repeatedly come last, and requests that are triggered
// for the first time come after events of a request itself.
func TestPriorities(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		queue := priorityqueue.New[ctrl.Request]("test")
		defer queue.ShutDown()
		again, first := testsupport.PendingRequest("again"), testsupport.PendingRequest("first")
		again.UID, first.UID = "again", "first"
		enqueue := enqueuer{reader: waitingRequests{items: []cmapi.CertificateRequest{*again, *first}}, kind: request.CertificateRequests(), tracker: newPendingTracker(), clock: clock.RealClock{}}
		key := client.ObjectKeyFromObject(again)
		enqueue.tracker.recordMessage(key, again.UID, "Waiting for Secret sandbox/key.")
		enqueue.tracker.nextTrigger(key, again.UID, clock.RealClock{})
		time.Sleep(time.Second) //nolint:forbidigo // of synctest

		secret := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: "sandbox", Name: "key"}}
		enqueue.enqueueForSecret().Create(t.Context(), event.CreateEvent{Object: secret}, queue)
		queue.Add(ctrl.Request{NamespacedName: requestKey})
		synctest.Wait()
		for _, want := range []string{"request", "first", "again"} {
			if got, _ := queue.Get(); got.Name != want {
				t.Errorf("got %s, want %s", got.Name, want)
			}
		}
	})
}

// TestForgetFinished: the state of a request that another client has finished is dropped.
func TestForgetFinished(t *testing.T) {
	t.Parallel()
	tracker, pending := newPendingTracker(), testsupport.PendingRequest("waits")
	handler := forgetFinished(request.CertificateRequests(), tracker)
	tracker.recordMessage(client.ObjectKeyFromObject(pending), pending.UID, "Waiting for Secret sandbox/key.")
	handler.Update(t.Context(), event.UpdateEvent{ObjectOld: pending, ObjectNew: pending}, nil)
	if len(tracker.byID) != 1 {
		t.Error("a pending request was forgotten")
	}
	finished := pending.DeepCopy()
	finished.Status.Certificate = []byte("certificate")
	handler.Update(t.Context(), event.UpdateEvent{ObjectOld: pending, ObjectNew: finished}, nil)
	if len(tracker.byID) != 0 {
		t.Error("a finished request is still remembered")
	}
}
