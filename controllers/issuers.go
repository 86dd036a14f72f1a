// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	libapi "github.com/cert-manager/issuer-lib/api/v1alpha1"
	libcontrollers "github.com/cert-manager/issuer-lib/controllers"
	libsigner "github.com/cert-manager/issuer-lib/controllers/signer"
	"github.com/go-logr/logr"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

// check is issuer-lib's Check hook. An issuer depends on nothing but its spec, which the
// schema has validated; it is validated again for objects that are older than the schema.
// Only a change of the spec can fix it, so that the error is permanent.
func check(_ context.Context, issuer libapi.Issuer) error {
	if err := specOf(issuer).Validate().ToAggregate(); err != nil {
		return libsigner.PermanentError{Err: err}
	}
	return nil
}

// setupIssuers registers a controller that keeps the Ready condition of an issuer kind. It is
// built here and not by issuer-lib's SetupWithManager, because that one takes a conflict for
// an error and does not notice when others write the Ready condition.
func (o Options) setupIssuers(mgr ctrl.Manager, issuer libapi.Issuer) error {
	kind := issuer.GetObjectKind().GroupVersionKind().Kind
	changed := predicate.ResourceVersionChangedPredicate{}
	return ctrl.NewControllerManagedBy(mgr).
		Named(controllerName(kind)).
		For(issuer, builder.WithPredicates(changed, libcontrollers.IssuerPredicate{})).
		Watches(issuer, enqueueAfterDelay(), builder.WithPredicates(changed, readyChanged())).
		WithOptions(o.issuerControllerOptions()).
		WithLogConstructor(logAbout(mgr.GetLogger(), kind)). // after the options, which have one too
		Complete(newIssuerReconciler(libcontrollers.IssuerReconciler{
			ForObject:     issuer,
			FieldOwner:    Name,
			EventSource:   noEvents{},
			Client:        mgr.GetClient(),
			Check:         check,
			EventRecorder: o.events,
			Clock:         o.Clock,
		}, issuerReader{live: mgr.GetAPIReader()}))
}

// readyChanged matches updates of an issuer's Ready condition. A former leader, an older
// version or an administrator may have written one that is wrong or about an older spec; to
// check what selfsigned-issuer itself has written costs no write.
func readyChanged() predicate.Predicate {
	return onUpdate(func(e event.UpdateEvent) bool {
		return !sameReady(readyOf(e.ObjectOld.(libapi.Issuer)), readyOf(e.ObjectNew.(libapi.Issuer)))
	})
}

func readyOf(issuer libapi.Issuer) *metav1.Condition {
	return apimeta.FindStatusCondition(issuer.GetConditions(), libapi.IssuerConditionTypeReady)
}

// sameReady compares what two Ready conditions say, whenever they were written.
func sameReady(a, b *metav1.Condition) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Status == b.Status && a.Reason == b.Reason && a.Message == b.Message && a.ObservedGeneration == b.ObservedGeneration
}

// issuerReconciler runs issuer-lib's flow for one kind of issuer, with a guarded status write
// that is announced once it has succeeded.
type issuerReconciler struct {
	library     libcontrollers.IssuerReconciler
	issuers     issuerReader
	conflicts   *conflicts
	unconfirmed unconfirmed[*metav1.Condition]
}

func newIssuerReconciler(library libcontrollers.IssuerReconciler, issuers issuerReader) *issuerReconciler {
	return &issuerReconciler{library: library, issuers: issuers, conflicts: newConflicts(), unconfirmed: newUnconfirmed[*metav1.Condition]()}
}

// Reconcile keeps the Ready condition of one issuer.
func (r *issuerReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	attempt := &issuerAttempt{issuerReconciler: r}
	library := r.library // a value, so that each attempt can have its own
	library.Client = statusClient{library.Client, attempt.write}
	library.EventRecorder = attempt
	library.IgnoreIssuer = attempt.begin
	// issuer-lib logs before it writes.
	_, err := library.Reconcile(log.IntoContext(ctx, logr.Discard()), req)
	return attempt.finish(ctx, req.NamespacedName, err)
}

// issuerAttempt is one reconcile of one issuer.
type issuerAttempt struct {
	*issuerReconciler
	issuer  libapi.Issuer // as read
	pause   time.Duration // when it is not to be written yet
	events  []func()
	ready   *metav1.Condition // written; nil if nothing was to be written
	failure error             // of the write
}

// begin is issuer-lib's hook that gets the issuer as it was read; true ends the attempt.
func (a *issuerAttempt) begin(ctx context.Context, issuer libapi.Issuer) (bool, error) {
	a.issuer, a.pause = issuer.DeepCopyObject().(libapi.Issuer), a.conflicts.pause(issuer)
	// The library does not check an issuer again that is Failed for its present spec, whoever
	// wrote that: another client, or a version with stricter rules.
	if ready := readyOf(issuer); ready != nil && ready.Reason == libapi.IssuerConditionReasonFailed {
		ready.Reason = libapi.IssuerConditionReasonPending
	}
	if a.pause > 0 {
		return true, nil
	}
	return false, a.issuers.complete(ctx, issuer)
}

// write sends issuer-lib's patch for the object and version that was read, if it changes
// anything.
func (a *issuerAttempt) write(ctx context.Context, object client.Object, patch client.Patch, options ...client.SubResourcePatchOption) error {
	status, err := statusIn(patch, object)
	if err != nil {
		return err
	}
	ready := apimeta.FindStatusCondition(status.Conditions, libapi.IssuerConditionTypeReady)
	if sameReady(ready, readyOf(a.issuer)) {
		if slices.ContainsFunc(a.unconfirmed.of(a.issuer), func(before *metav1.Condition) bool { return sameReady(ready, before) }) {
			a.ready = ready
		}
		return nil
	}
	gvk, err := apiutil.GVKForObject(a.issuer, a.library.Scheme())
	if err != nil {
		return err
	}
	guarded, err := applyPatch(a.issuer, gvk, status)
	if err != nil {
		return err
	}
	if a.failure = a.library.Client.Status().Patch(ctx, object, guarded, options...); a.failure == nil {
		a.ready = ready
	} else if !isConflict(a.failure) {
		a.unconfirmed.add(a.issuer, ready)
	}
	return a.failure
}

func statusIn(patch client.Patch, object client.Object) (libapi.IssuerStatus, error) {
	var applied struct{ Status libapi.IssuerStatus }
	body, err := patch.Data(object)
	if err == nil {
		err = json.Unmarshal(body, &applied)
	}
	return applied.Status, err
}

// Eventf implements events.EventRecorder: what issuer-lib records before the write is sent
// after it.
func (a *issuerAttempt) Eventf(regarding, related runtime.Object, eventType, reason, action, note string, args ...any) {
	a.events = append(a.events, func() {
		a.library.EventRecorder.Eventf(regarding, related, eventType, reason, action, note, args...)
	})
}

// finish returns what follows from the attempt. err is what issuer-lib returned.
func (a *issuerAttempt) finish(ctx context.Context, key types.NamespacedName, err error) (ctrl.Result, error) {
	switch {
	case a.pause > 0:
		return ctrl.Result{RequeueAfter: a.pause}, nil
	case isConflict(a.failure):
		return a.conflicts.retry(log.FromContext(ctx), a.issuer, a.failure), nil
	case a.failure != nil:
		// Only this error: a permanent one of the check beside it would end the retries.
		return ctrl.Result{}, a.failure
	}
	a.conflicts.forget(key)
	a.unconfirmed.forget(key)
	if a.ready != nil {
		a.announce(ctx)
	} else if errors.Is(err, reconcile.TerminalError(nil)) {
		return ctrl.Result{}, nil // it has been reported
	}
	return ctrl.Result{}, err
}

// announce reports a Ready condition that has been written.
func (a *issuerAttempt) announce(ctx context.Context) {
	for _, send := range a.events {
		send()
	}
	if a.ready.Status == metav1.ConditionTrue {
		log.FromContext(ctx).Info("The issuer is Ready", "uid", a.issuer.GetUID(), "generation", a.ready.ObservedGeneration)
	}
}

// noEvents stands for the channel through which issuer-lib's request controllers report
// errors of an issuer: signing asks nobody, so that there are none.
type noEvents struct{}

func (noEvents) AddConsumer(schema.GroupVersionKind) source.Source {
	return source.Func(func(context.Context, workqueue.TypedRateLimitingInterface[ctrl.Request]) error { return nil })
}

func (noEvents) ReportError(schema.GroupVersionKind, types.NamespacedName, error) error { return nil }

func (noEvents) HasReportedError(schema.GroupVersionKind, types.NamespacedName) error { return nil }
