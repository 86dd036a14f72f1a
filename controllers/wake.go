// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"maps"
	"time"

	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
)

// The indexes hold waiting requests only, so that an event of a Secret or an issuer costs
// as much as there are requests that wait for it, however many have been signed before. The
// last one is for the gauges, and holds those that nobody has approved yet as well.
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

// unfinished is "true" for the requests of ours that nothing has come of yet.
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

// wakeBySecret enqueues the requests that wait for a Secret.
func wakeBySecret(reader client.Reader, kind requestKind) handler.EventHandler {
	return handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, secret client.Object) []ctrl.Request {
		return listWaiting(ctx, reader, kind, bySecret, client.ObjectKeyFromObject(secret).String())
	})
}

// wakeByIssuer enqueues the requests that wait for an issuer of the given kind.
func wakeByIssuer(reader client.Reader, kind requestKind, issuerKind string) handler.EventHandler {
	return handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, issuer client.Object) []ctrl.Request {
		ref := issuerRef{issuerKind, client.ObjectKeyFromObject(issuer)}
		return listWaiting(ctx, reader, kind, byIssuer, ref.String())
	})
}

func listWaiting(ctx context.Context, reader client.Reader, kind requestKind, index, value string) []ctrl.Request {
	var requests []ctrl.Request
	err := eachItem(ctx, reader, kind.newList(), func(object client.Object) {
		requests = append(requests, ctrl.Request{NamespacedName: client.ObjectKeyFromObject(object)})
	}, client.MatchingFields{index: value})
	if err != nil {
		log.FromContext(ctx).Error(err, "Listing the requests that wait failed", "index", index, "value", value)
		return nil
	}
	return requests
}

// wakingEvents are the events of a request itself that start a reconcile: what is finished
// stays asleep, and so does a request after our own write.
func wakingEvents(kind requestKind) predicate.Predicate {
	ours := func(o client.Object) bool {
		_, ours := kind.wrap(o).issuer()
		return ours
	}
	unfinished := func(o client.Object) bool { return ours(o) && !kind.wrap(o).finished() }
	return predicate.Funcs{
		CreateFunc: func(e event.CreateEvent) bool { return unfinished(e.Object) },
		DeleteFunc: func(e event.DeleteEvent) bool { return ours(e.Object) }, // to forget it
		UpdateFunc: func(e event.UpdateEvent) bool {
			return unfinished(e.ObjectNew) && decidesAnew(kind, e.ObjectOld, e.ObjectNew)
		},
		GenericFunc: func(event.GenericEvent) bool { return false },
	}
}

// foreignWrites are updates by which an unfinished request says what this process has not
// told it: a replica that has lost its Lease, but does not know yet, wrote it from what it
// remembers.
func foreignWrites(kind requestKind, waits *waits) predicate.Predicate {
	return predicate.Funcs{
		CreateFunc: func(event.CreateEvent) bool { return false },
		DeleteFunc: func(event.DeleteEvent) bool { return false },
		UpdateFunc: func(e event.UpdateEvent) bool {
			was, is := kind.wrap(e.ObjectOld), kind.wrap(e.ObjectNew)
			_, ours := is.issuer()
			return ours && waiting(is) && was.said() != is.said() &&
				!waits.said(client.ObjectKeyFromObject(e.ObjectNew), e.ObjectNew.GetUID(), is.said())
		},
		GenericFunc: func(event.GenericEvent) bool { return false },
	}
}

// foreignDelay keeps two replicas that both believe to lead, and differ, from correcting each
// other without end and pause.
const foreignDelay = time.Second

// enqueueLater enqueues an updated request after a while.
func enqueueLater() handler.EventHandler {
	return handler.Funcs{UpdateFunc: func(_ context.Context, e event.UpdateEvent, queue workqueue.TypedRateLimitingInterface[ctrl.Request]) {
		queue.AddAfter(ctrl.Request{NamespacedName: client.ObjectKeyFromObject(e.ObjectNew)}, foreignDelay)
	}}
}

// decidesAnew reports whether a request may have another outcome than before the update.
// Its spec can not change, and its Ready condition is what we write ourselves.
func decidesAnew(kind requestKind, before, after client.Object) bool {
	was, is := kind.wrap(before), kind.wrap(after)
	return before.GetUID() != after.GetUID() ||
		was.approved() != is.approved() || was.denied() != is.denied() || was.finished() ||
		!maps.Equal(before.GetAnnotations(), after.GetAnnotations())
}
