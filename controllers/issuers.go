// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
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

	selfsigned "github.com/cert-manager/selfsigned-issuer/api/v1alpha1"
	"github.com/cert-manager/selfsigned-issuer/controllers/internal/request"
)

// check is issuer-lib's Check hook. The schema has validated the spec. It is validated again for
// objects that are older than the schema. The error is permanent, because only a change of the
// spec can fix it.
func check(_ context.Context, issuer libapi.Issuer) error {
	if err := request.SpecOf(issuer).Validate().ToAggregate(); err != nil {
		return libsigner.PermanentError{Err: err}
	}
	return nil
}

// setupIssuers registers the controller of an issuer kind. issuer-lib's SetupWithManager treats
// conflicts as errors and ignores a Ready condition written by others.
func (o Options) setupIssuers(mgr ctrl.Manager, issuer libapi.Issuer) error {
	kind := issuer.GetObjectKind().GroupVersionKind().Kind
	changed := predicate.ResourceVersionChangedPredicate{}
	return ctrl.NewControllerManagedBy(mgr).
		Named(controllerName(kind)).
		For(issuer, builder.WithPredicates(changed, libcontrollers.IssuerPredicate{})).
		Watches(issuer, enqueueAfterDelay(), builder.WithPredicates(changed, issuerStatusChanged())).
		WithOptions(o.issuerControllerOptions()).
		WithLogConstructor(logAbout(mgr.GetLogger(), kind)). // after the options, which set it too
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

// issuerStatusChanged matches updates of an issuer's status. A former leader, another version or an
// administrator may have written a wrong one. If selfsigned-issuer has written it, the check
// causes no write.
func issuerStatusChanged() predicate.Predicate {
	return onUpdate(func(e event.UpdateEvent) bool {
		return !sameStatus(request.StatusOf(e.ObjectOld.(libapi.Issuer)), request.StatusOf(e.ObjectNew.(libapi.Issuer)))
	})
}

// sameStatus compares what selfsigned-issuer writes, without times.
func sameStatus(a, b *selfsigned.SelfSignedIssuerStatus) bool {
	same := a.ObservedGeneration == b.ObservedGeneration
	for _, name := range []string{libapi.IssuerConditionTypeReady, selfsigned.ConditionStalled} {
		same = same && sameCondition(apimeta.FindStatusCondition(a.Conditions, name), apimeta.FindStatusCondition(b.Conditions, name))
	}
	return same
}

// sameCondition compares conditions without their times.
func sameCondition(a, b *metav1.Condition) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Status == b.Status && a.Reason == b.Reason && a.Message == b.Message && a.ObservedGeneration == b.ObservedGeneration
}

// issuerStatus returns the status for issuer-lib's Ready condition. kstatus, with which GitOps tools
// wait for an object, also reads the observed generation, and fails if an issuer is stalled: only a
// change of the spec can fix it. Omitting a condition does not remove that of another client.
func issuerStatus(ready *metav1.Condition, current *selfsigned.SelfSignedIssuerStatus) *selfsigned.SelfSignedIssuerStatus {
	status := &selfsigned.SelfSignedIssuerStatus{ObservedGeneration: ready.ObservedGeneration, Conditions: []metav1.Condition{*ready}}
	failed := ready.Reason == libapi.IssuerConditionReasonFailed
	if failed || apimeta.FindStatusCondition(current.Conditions, selfsigned.ConditionStalled) != nil {
		stalled := *ready
		stalled.Type, stalled.Status = selfsigned.ConditionStalled, metav1.ConditionFalse
		if failed {
			stalled.Status = metav1.ConditionTrue
		}
		status.Conditions = append(status.Conditions, stalled)
	}
	return status
}

// issuerReconciler runs issuer-lib's reconcile for one kind of issuer, with a guarded status write
// that is reported after it has succeeded.
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
	library := r.library // a copy
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
	issuer     libapi.Issuer // as read
	retryAfter time.Duration // set to end the attempt
	events     []func()
	ready      *metav1.Condition // as written; nil without a write
	writeErr   error
	undeclared error // of a write with a field that the CRDs do not have
}

// begin is issuer-lib's IgnoreIssuer hook. True ends the attempt.
func (a *issuerAttempt) begin(ctx context.Context, issuer libapi.Issuer) (bool, error) {
	a.issuer, a.retryAfter = issuer.DeepCopyObject().(libapi.Issuer), a.conflicts.retryAfter(issuer)
	// issuer-lib does not check an issuer again if its condition has the reason Failed, which
	// another client or a version with stricter rules may have written.
	if ready := request.ReadyCondition(issuer); ready != nil && ready.Reason == libapi.IssuerConditionReasonFailed {
		ready.Reason = libapi.IssuerConditionReasonPending
	}
	if a.retryAfter > 0 {
		return true, nil
	}
	return false, a.issuers.complete(ctx, issuer)
}

// write writes issuer-lib's condition. With CRDs that are older than status.observedGeneration, it is
// written without this field.
func (a *issuerAttempt) write(ctx context.Context, object client.Object, patch client.Patch, options ...client.SubResourcePatchOption) error {
	ready, err := readyIn(patch, object)
	if err != nil {
		return err
	}
	status := issuerStatus(ready, request.StatusOf(a.issuer))
	if a.writeErr = a.apply(ctx, object, ready, status, options...); isUndeclaredGeneration(a.writeErr) {
		a.undeclared, status.ObservedGeneration = a.writeErr, 0
		a.writeErr = a.apply(ctx, object, ready, status, options...)
	}
	return a.writeErr
}

// isUndeclaredGeneration returns whether the API server refuses status.observedGeneration. This error
// has status 500 and no reason.
func isUndeclaredGeneration(err error) bool {
	return err != nil && strings.Contains(err.Error(), ".status.observedGeneration: field not declared in schema")
}

// apply sends a status with UID and resourceVersion, if it is another one.
func (a *issuerAttempt) apply(ctx context.Context, object client.Object, ready *metav1.Condition, status *selfsigned.SelfSignedIssuerStatus,
	options ...client.SubResourcePatchOption,
) error {
	if sameStatus(status, request.StatusOf(a.issuer)) {
		if slices.ContainsFunc(a.unconfirmed.of(a.issuer), func(before *metav1.Condition) bool { return sameCondition(ready, before) }) {
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
	if err = a.library.Client.Status().Patch(ctx, object, guarded, options...); err == nil {
		a.ready = ready
	} else if !isConflict(err) && !isUndeclaredGeneration(err) {
		a.unconfirmed.add(a.issuer, ready)
	}
	return err
}

// readyIn returns the Ready condition, the only one that issuer-lib writes.
func readyIn(patch client.Patch, object client.Object) (*metav1.Condition, error) {
	var applied struct{ Status libapi.IssuerStatus }
	body, err := patch.Data(object)
	if err == nil {
		err = json.Unmarshal(body, &applied)
	}
	if err != nil {
		return nil, err
	}
	return &applied.Status.Conditions[0], nil
}

// Eventf implements events.EventRecorder. issuer-lib calls it before the write. The event is sent
// after it.
func (a *issuerAttempt) Eventf(regarding, related runtime.Object, eventType, reason, action, note string, args ...any) {
	a.events = append(a.events, func() {
		a.library.EventRecorder.Eventf(regarding, related, eventType, reason, action, note, args...)
	})
}

// finish returns when the issuer is reconciled again. err is the error of issuer-lib.
func (a *issuerAttempt) finish(ctx context.Context, key types.NamespacedName, err error) (ctrl.Result, error) {
	if a.undeclared != nil {
		log.FromContext(ctx).Info("The CRDs are older than selfsigned-issuer, apply those of its version", "cause", a.undeclared.Error())
	}
	switch {
	case a.retryAfter > 0:
		return ctrl.Result{RequeueAfter: a.retryAfter}, nil
	case isConflict(a.writeErr):
		return a.conflicts.retry(log.FromContext(ctx), a.issuer, a.writeErr), nil
	case a.writeErr != nil:
		// Without the permanent error of the check, which would prevent the retry.
		return ctrl.Result{}, a.writeErr
	}
	a.conflicts.forget(key)
	a.unconfirmed.forget(key)
	if a.ready != nil {
		a.report(ctx)
	} else if errors.Is(err, reconcile.TerminalError(nil)) {
		return ctrl.Result{}, nil // it is reported already
	}
	return ctrl.Result{}, err
}

// report sends the events for a Ready condition that was written.
func (a *issuerAttempt) report(ctx context.Context) {
	for _, send := range a.events {
		send()
	}
	if a.ready.Status == metav1.ConditionTrue {
		log.FromContext(ctx).Info("The issuer is Ready", "uid", a.issuer.GetUID(), "generation", a.ready.ObservedGeneration)
	}
}

// noEvents replaces the source through which issuer-lib's request controllers report errors of an
// issuer. Signing has no external dependency, so there are none.
type noEvents struct{}

func (noEvents) AddConsumer(schema.GroupVersionKind) source.Source {
	return source.Func(func(context.Context, workqueue.TypedRateLimitingInterface[ctrl.Request]) error { return nil })
}

func (noEvents) ReportError(schema.GroupVersionKind, types.NamespacedName, error) error { return nil }

func (noEvents) HasReportedError(schema.GroupVersionKind, types.NamespacedName) error { return nil }
