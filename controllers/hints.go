// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"time"

	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/cert-manager/selfsigned-issuer/controllers/internal/outcome"
	"github.com/cert-manager/selfsigned-issuer/controllers/internal/request"
)

// maxHintAge is the maximum age of a request with a hint, so that a restart does not report
// all old requests again.
const maxHintAge = 24 * time.Hour

// hinter sends one hint for each request of a kind that needs it. It has its own queue, so that
// hints do not delay other requests.
type hinter struct {
	kind     request.Kind
	cache    client.Reader
	recorder events.EventRecorder
	clock    clock.PassiveClock
}

func (o Options) setupHints(mgr ctrl.Manager, kind request.Kind) error {
	h := &hinter{kind: kind, cache: mgr.GetCache(), recorder: o.events, clock: o.Clock}
	return ctrl.NewControllerManagedBy(mgr).
		Named(controllerName(kind.Name+"-hints")).
		Watches(kind.NewObject(), h.whenCreated()).
		WithOptions(controller.Options{MaxConcurrentReconciles: 1}).
		WithLogConstructor(logAbout(mgr.GetLogger(), kind.Name)).
		Complete(h)
}

// whenCreated enqueues each request once, for the time when its hint is due.
func (h *hinter) whenCreated() handler.EventHandler {
	enqueue := func(object client.Object, queue workQueue) {
		if hint, wait := h.due(h.kind.Wrap(object)); hint != nil {
			queue.AddAfter(ctrl.Request{NamespacedName: client.ObjectKeyFromObject(object)}, wait)
		}
	}
	return handler.Funcs{
		CreateFunc: func(_ context.Context, e event.CreateEvent, queue workQueue) { enqueue(e.Object, queue) },
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, queue workQueue) {
			if e.ObjectOld.GetUID() != e.ObjectNew.GetUID() { // re-created while the watch was interrupted
				enqueue(e.ObjectNew, queue)
			}
		},
	}
}

// Reconcile sends the hint about a request that still needs it.
func (h *hinter) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	object := h.kind.NewObject()
	if err := h.cache.Get(ctx, req.NamespacedName, object); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	hint, wait := h.due(h.kind.Wrap(object))
	switch {
	case hint == nil:
	case wait > 0: // the request was re-created
		return ctrl.Result{RequeueAfter: wait}, nil
	default:
		message := hint.About(object)
		h.recorder.Eventf(object, nil, hint.EventType, string(hint.Reason), eventAction, message)
		log.FromContext(ctx).Info(message, "reason", hint.Reason, "uid", object.GetUID())
	}
	return ctrl.Result{}, nil
}

// due returns the hint that a request needs, or nil, and the time until it is due.
func (h *hinter) due(request request.Request) (_ *outcome.Hint, wait time.Duration) {
	age := h.clock.Since(request.Object().GetCreationTimestamp().Time)
	if request.Finished() || request.Denied() || age > maxHintAge {
		return nil, 0
	}
	hint := request.Hint()
	if hint == nil {
		return nil, 0
	}
	// The clock of the API server may be ahead.
	return hint, min(max(hint.Delay-age, 0), hint.Delay)
}
