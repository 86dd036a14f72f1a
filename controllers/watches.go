// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"maps"
	"time"

	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/cert-manager/selfsigned-issuer/controllers/internal/request"
)

// Priorities in the queue. Events of a request itself have 0, and requests that exist when
// selfsigned-issuer starts have handler.LowPriority. A request whose Secret or issuer changes again
// and again does not delay others.
var (
	pendingPriority  = new(-10)
	repeatedPriority = new(handler.LowPriority - 10)
)

// enqueuer enqueues the pending requests of a Secret or an issuer.
type enqueuer struct {
	reader  client.Reader
	kind    request.Kind
	tracker *pendingTracker
	clock   clock.PassiveClock
}

// enqueueForSecret enqueues the pending requests of a Secret.
func (e enqueuer) enqueueForSecret() handler.EventHandler {
	return e.forIndex(request.BySecret, func(key client.ObjectKey) string { return key.String() })
}

// enqueueForIssuer enqueues the pending requests of an issuer of the given kind.
func (e enqueuer) enqueueForIssuer(issuerKind string) handler.EventHandler {
	return e.forIndex(request.ByIssuer, func(key client.ObjectKey) string { return request.IssuerRef{Kind: issuerKind, Key: key}.String() })
}

func (e enqueuer) forIndex(index string, value func(client.ObjectKey) string) handler.EventHandler {
	enqueue := func(ctx context.Context, changed client.Object, queue workQueue) {
		e.enqueue(ctx, index, value(client.ObjectKeyFromObject(changed)), queue)
	}
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, e event.CreateEvent, queue workQueue) { enqueue(ctx, e.Object, queue) },
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, queue workQueue) { enqueue(ctx, e.ObjectNew, queue) },
		DeleteFunc: func(ctx context.Context, e event.DeleteEvent, queue workQueue) { enqueue(ctx, e.Object, queue) },
	}
}

type workQueue = workqueue.TypedRateLimitingInterface[ctrl.Request]

// enqueue enqueues each request in the index, with the delay for repeated changes.
func (e enqueuer) enqueue(ctx context.Context, index, value string, queue workQueue) {
	err := request.ForEach(ctx, e.reader, e.kind.NewList(), func(object client.Object) {
		key := client.ObjectKeyFromObject(object)
		delay, repeated := e.tracker.nextTrigger(key, object.GetUID(), e.clock)
		priority := pendingPriority
		// An issuer and its first request are usually created together: the first changes of an
		// issuer do not lower the priority.
		if repeated && index == request.BySecret {
			priority = repeatedPriority
		}
		addWithPriority(queue, ctrl.Request{NamespacedName: key}, delay, priority)
	}, client.MatchingFields{index: value})
	if err != nil {
		log.FromContext(ctx).Error(err, "Failed to list the pending requests", "index", index, "value", value)
	}
}

func addWithPriority(queue workQueue, request ctrl.Request, delay time.Duration, priority *int) {
	if prioritized, ok := queue.(priorityqueue.PriorityQueue[ctrl.Request]); ok {
		prioritized.AddWithOpts(priorityqueue.AddOpts{After: delay, Priority: priority}, request)
		return
	}
	queue.AddAfter(request, delay)
}

// requestPredicate matches the events of a request that trigger a reconcile. Events of finished
// requests and our own writes do not.
func requestPredicate(kind request.Kind) predicate.Predicate {
	ours := func(o client.Object) bool {
		_, ours := kind.Wrap(o).Issuer()
		return ours
	}
	unfinished := func(o client.Object) bool { return ours(o) && !kind.Wrap(o).Finished() }
	return predicate.Funcs{
		CreateFunc: func(e event.CreateEvent) bool { return unfinished(e.Object) },
		DeleteFunc: func(e event.DeleteEvent) bool { return ours(e.Object) }, // to forget it
		UpdateFunc: func(e event.UpdateEvent) bool {
			return unfinished(e.ObjectNew) && needsReconcile(kind, e.ObjectOld, e.ObjectNew)
		},
		GenericFunc: func(event.GenericEvent) bool { return false },
	}
}

// statusChangedByOthers matches updates whose Ready message was not written by this replica, for
// example by a former leader.
func statusChangedByOthers(kind request.Kind, tracker *pendingTracker) predicate.Predicate {
	return onUpdate(func(e event.UpdateEvent) bool {
		was, is := kind.Wrap(e.ObjectOld), kind.Wrap(e.ObjectNew)
		_, ours := is.Issuer()
		return ours && request.IsPending(is) && was.ReadyMessage() != is.ReadyMessage() &&
			!tracker.isLastMessage(client.ObjectKeyFromObject(e.ObjectNew), e.ObjectNew.GetUID(), is.ReadyMessage())
	})
}

// onUpdate matches only updates.
func onUpdate(matches func(event.UpdateEvent) bool) predicate.Predicate {
	return predicate.Funcs{
		CreateFunc:  func(event.CreateEvent) bool { return false },
		UpdateFunc:  matches,
		DeleteFunc:  func(event.DeleteEvent) bool { return false },
		GenericFunc: func(event.GenericEvent) bool { return false },
	}
}

// foreignDelay is the delay after another replica has written an object. It limits the writes of
// two leaders with different results.
const foreignDelay = time.Second

// forgetFinished drops the state of a request that another client has finished. For other finished
// and deleted requests, the reconcile does this.
func forgetFinished(kind request.Kind, tracker *pendingTracker) handler.EventHandler {
	return handler.Funcs{UpdateFunc: func(_ context.Context, e event.UpdateEvent, _ workQueue) {
		if kind.Wrap(e.ObjectNew).Finished() {
			tracker.forget(client.ObjectKeyFromObject(e.ObjectNew))
		}
	}}
}

// enqueueAfterDelay enqueues an updated object after foreignDelay.
func enqueueAfterDelay() handler.EventHandler {
	return handler.Funcs{UpdateFunc: func(_ context.Context, e event.UpdateEvent, queue workQueue) {
		queue.AddAfter(ctrl.Request{NamespacedName: client.ObjectKeyFromObject(e.ObjectNew)}, foreignDelay)
	}}
}

// needsReconcile returns whether a request can have another outcome after the update. Its spec is
// immutable, and we write its Ready condition ourselves.
func needsReconcile(kind request.Kind, before, after client.Object) bool {
	was, is := kind.Wrap(before), kind.Wrap(after)
	return before.GetUID() != after.GetUID() ||
		was.Approved() != is.Approved() || was.Denied() != is.Denied() || was.Finished() ||
		!maps.Equal(before.GetAnnotations(), after.GetAnnotations())
}
