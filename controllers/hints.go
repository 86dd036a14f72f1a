// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"strings"
	"time"

	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"

	selfsigned "github.com/cert-manager/selfsigned-issuer/api/v1alpha1"
)

// hint is an event about a request that is not processed, because it is not approved or not for
// one of our issuers. The status of the request is not written.
type hint struct {
	reason    Reason
	eventType string
	message   string        // words in braces are replaced, see messageArgs
	delay     time.Duration // after the creation of the request
	args      messageArgs
}

const (
	// approvalDelay is the time for an approval before it is reported as missing.
	// cert-manager's approver takes less than a second.
	approvalDelay = 30 * time.Second

	// maxHintAge is the maximum age of a request with a hint, so that a restart does not report
	// all old requests again.
	maxHintAge = 24 * time.Hour
)

// hint implements request.
func (r certificateRequest) hint() *hint {
	if ref, ours := r.issuer(); ours {
		return approvalHint.unless(r.approved(), messageArgs{"signer": ref.newObject().GetIssuerTypeIdentifier()})
	}
	ref := r.cr.Spec.IssuerRef
	return kindHint.unless(ref.Group != selfsigned.GroupName, messageArgs{"kind": ref.Kind})
}

// hint implements request. All signer names below our group are checked.
func (r certificateSigningRequest) hint() *hint {
	if _, ours := r.issuer(); ours {
		return csrApprovalHint.unless(r.approved(), messageArgs{})
	}
	domain, _, _ := strings.Cut(r.csr.Spec.SignerName, "/")
	return signerNameHint.unless(!strings.HasSuffix(domain, "."+selfsigned.GroupName), messageArgs{"signer": r.csr.Spec.SignerName})
}

// unless returns the hint with its arguments, or nil if it does not apply.
func (h hint) unless(notApplicable bool, args messageArgs) *hint {
	if notApplicable {
		return nil
	}
	h.args = args
	return &h
}

// hinter sends one hint for each request of a kind that needs it. It has its own queue, so that
// hints do not delay other requests.
type hinter struct {
	kind     requestKind
	cache    client.Reader
	recorder events.EventRecorder
	clock    clock.PassiveClock
}

func (o Options) setupHints(mgr ctrl.Manager, kind requestKind) error {
	h := &hinter{kind: kind, cache: mgr.GetCache(), recorder: o.events, clock: o.Clock}
	return ctrl.NewControllerManagedBy(mgr).
		Named(controllerName(kind.name+"-hints")).
		Watches(kind.newObject(), h.whenCreated()).
		WithOptions(controller.Options{MaxConcurrentReconciles: 1}).
		WithLogConstructor(logAbout(mgr.GetLogger(), kind.name)).
		Complete(h)
}

// whenCreated enqueues each request once, for the time when its hint is due.
func (h *hinter) whenCreated() handler.EventHandler {
	enqueue := func(object client.Object, queue workQueue) {
		if hint, wait := h.due(h.kind.wrap(object)); hint != nil {
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
	object := h.kind.newObject()
	if err := h.cache.Get(ctx, req.NamespacedName, object); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	hint, wait := h.due(h.kind.wrap(object))
	switch {
	case hint == nil:
	case wait > 0: // the request was re-created
		return ctrl.Result{RequeueAfter: wait}, nil
	default:
		message := hint.about(object)
		h.recorder.Eventf(object, nil, hint.eventType, string(hint.reason), eventAction, message)
		log.FromContext(ctx).Info(message, "reason", hint.reason, "uid", object.GetUID())
	}
	return ctrl.Result{}, nil
}

// due returns the hint that a request needs, or nil, and the time until it is due.
func (h *hinter) due(request request) (_ *hint, wait time.Duration) {
	age := h.clock.Since(request.object().GetCreationTimestamp().Time)
	if request.finished() || request.denied() || age > maxHintAge {
		return nil, 0
	}
	hint := request.hint()
	if hint == nil {
		return nil, 0
	}
	// The clock of the API server may be ahead.
	return hint, min(max(hint.delay-age, 0), hint.delay)
}

// about returns the message about an object.
func (h hint) about(object client.Object) string {
	h.args["delay"], h.args["group"] = h.delay.String(), selfsigned.GroupName
	h.args["namespace"], h.args["name"] = object.GetNamespace(), object.GetName()
	return h.args.render(h.message)
}
