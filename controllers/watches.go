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
)

// The indexes have only unfinished requests, so that the cost of an event of a Secret or an
// issuer does not depend on finished requests. The last one is for the gauges and includes
// requests that are not approved.
const (
	bySecret     = "waitingForSecret"
	byIssuer     = "waitingForIssuer"
	byUnfinished = "unfinished"
)

// indexWaiting registers the indexes for a kind of request.
func indexWaiting(ctx context.Context, indexer client.FieldIndexer, kind requestKind) error {
	object := kind.newObject()
	if err := indexer.IndexField(ctx, object, bySecret, kind.secretsWaitedFor); err != nil {
		return err
	}
	if err := indexer.IndexField(ctx, object, byIssuer, kind.issuersWaitedFor); err != nil {
		return err
	}
	return indexer.IndexField(ctx, object, byUnfinished, kind.unfinished)
}

func (k requestKind) secretsWaitedFor(object client.Object) []string {
	r := k.wrap(object)
	if _, ours := r.issuer(); !ours || !waiting(r) {
		return nil
	}
	return []string{r.keySecret().String()}
}

// unfinished is "true" for our unfinished requests.
func (k requestKind) unfinished(object client.Object) []string {
	r := k.wrap(object)
	if _, ours := r.issuer(); !ours || r.finished() {
		return nil
	}
	return []string{"true"}
}

func (k requestKind) issuersWaitedFor(object client.Object) []string {
	r := k.wrap(object)
	ref, ours := r.issuer()
	if !ours || !waiting(r) {
		return nil
	}
	return []string{ref.String()}
}

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
	kind    requestKind
	tracker *pendingTracker
	clock   clock.PassiveClock
}

// enqueueForSecret enqueues the pending requests of a Secret.
func (e enqueuer) enqueueForSecret() handler.EventHandler {
	return e.forIndex(bySecret, func(key client.ObjectKey) string { return key.String() })
}

// enqueueForIssuer enqueues the pending requests of an issuer of the given kind.
func (e enqueuer) enqueueForIssuer(issuerKind string) handler.EventHandler {
	return e.forIndex(byIssuer, func(key client.ObjectKey) string { return issuerRef{issuerKind, key}.String() })
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
	err := forEachCached(ctx, e.reader, e.kind.newList(), func(object client.Object) {
		key := client.ObjectKeyFromObject(object)
		delay, repeated := e.tracker.nextTrigger(key, object.GetUID(), e.clock)
		priority := pendingPriority
		// An issuer and its first request are usually created together: the first changes of an
		// issuer do not lower the priority.
		if repeated && index == bySecret {
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
func requestPredicate(kind requestKind) predicate.Predicate {
	ours := func(o client.Object) bool {
		_, ours := kind.wrap(o).issuer()
		return ours
	}
	unfinished := func(o client.Object) bool { return ours(o) && !kind.wrap(o).finished() }
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
func statusChangedByOthers(kind requestKind, tracker *pendingTracker) predicate.Predicate {
	return onUpdate(func(e event.UpdateEvent) bool {
		was, is := kind.wrap(e.ObjectOld), kind.wrap(e.ObjectNew)
		_, ours := is.issuer()
		return ours && waiting(is) && was.readyMessage() != is.readyMessage() &&
			!tracker.isLastMessage(client.ObjectKeyFromObject(e.ObjectNew), e.ObjectNew.GetUID(), is.readyMessage())
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
func forgetFinished(kind requestKind, tracker *pendingTracker) handler.EventHandler {
	return handler.Funcs{UpdateFunc: func(_ context.Context, e event.UpdateEvent, _ workQueue) {
		if kind.wrap(e.ObjectNew).finished() {
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
func needsReconcile(kind requestKind, before, after client.Object) bool {
	was, is := kind.wrap(before), kind.wrap(after)
	return before.GetUID() != after.GetUID() ||
		was.approved() != is.approved() || was.denied() != is.denied() || was.finished() ||
		!maps.Equal(before.GetAnnotations(), after.GetAnnotations())
}
