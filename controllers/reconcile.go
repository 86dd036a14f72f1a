// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"math"
	"time"

	libapi "github.com/cert-manager/issuer-lib/api/v1alpha1"
	libcontrollers "github.com/cert-manager/issuer-lib/controllers"
	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/cert-manager/selfsigned-issuer/signer"
)

// requestReconciler runs issuer-lib's flow for one kind of request. The flow asks our
// helper (helper.go) what to do; the reconciler turns its end into what controller-runtime
// should do next.
type requestReconciler struct {
	kind     requestKind
	client   client.Client
	keys     keyReader
	requests requestReader
	issuers  issuerReader
	slots    *FairSlots
	recorder events.EventRecorder
	clock    clock.PassiveClock
	grace    time.Duration
	waits    *waits
	written  written
	metrics  *metrics
	limits   signer.Limits
	// conflicts delays the retries of writes that did not find what was read.
	conflicts   *conflicts
	unconfirmed unconfirmed[unconfirmedEnd]

	namespaced  bool // cluster issuers are out of reach
	pollSecrets bool // nobody tells when a Secret changes
}

// neverTooLate keeps issuer-lib from failing a request because of its age: a failure of the
// API server, however long it lasts, is not the request's fault.
const neverTooLate = time.Duration(math.MaxInt64)

// run is one reconcile of one request. issuer-lib's RequestController is a value, so that
// each run can have its own, with a helper that knows the run.
type run struct {
	*requestReconciler
	ctx      context.Context
	log      logr.Logger
	request  request
	verdict  *verdict
	unstated bool          // the object says the verdict already, or has no place for it
	failure  error         // of the status write
	pause    time.Duration // when nothing is to be done about the request yet

	postponed   bool   // the verdict must not be written yet, see postpone
	releaseSlot func() // nil without a slot, see newReadSlots
}

// Reconcile brings one request further.
func (r *requestReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	select {
	case <-ctx.Done():
		return ctrl.Result{}, nil // the process is being stopped: another one does it
	default:
	}
	// What has begun is finished, within the time that the manager gives it to stop, and does
	// not wait for an answer for ever.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), answerWithin)
	defer cancel()
	run := &run{requestReconciler: r, ctx: ctx, log: log.FromContext(ctx)}
	defer run.dropSlot()
	flow := &libcontrollers.RequestController{
		FieldOwner:               Name,
		MaxRetryDuration:         neverTooLate,
		Client:                   statusClient{r.client, run.write},
		Sign:                     run.sign,
		IgnoreCertificateRequest: run.preflight,
		EventRecorder:            r.recorder,
		Clock:                    r.clock,
	}
	flow.Init(r.kind.newObject(), nil, run.matchIssuer, run.newHelper)
	// issuer-lib logs every wait as an error; announce logs decisions, once each.
	_, err := flow.Reconcile(log.IntoContext(ctx, logr.Discard()), req)
	return run.finish(req.NamespacedName, err)
}

// matchIssuer is where issuer-lib first hands over the object.
func (r *run) matchIssuer(object client.Object) (libapi.Issuer, types.NamespacedName, error) {
	r.request = r.kind.wrap(object)
	ref, ours := r.request.issuer()
	if !ours {
		return nil, types.NamespacedName{}, errNotOurs
	}
	if r.pause = r.conflicts.pause(object); r.pause > 0 {
		return nil, types.NamespacedName{}, errTooEarly
	}
	return ref.newObject(), ref.key, nil
}

// write sends issuer-lib's patch, and notes the answer: the library takes NotFound for success.
func (r *run) write(ctx context.Context, object client.Object, patch client.Patch, options ...client.SubResourcePatchOption) error {
	r.failure = r.client.Status().Patch(ctx, object, patch, options...)
	if r.failure != nil && !isConflict(r.failure) && r.verdict.state() != pending {
		r.unconfirmed.add(r.request.object(), unconfirmedEndOf(r.verdict))
	}
	return r.failure
}

// finish tells what follows from the run. err is what went wrong while the verdict was
// written, and the verdict itself.
func (r *run) finish(key types.NamespacedName, err error) (ctrl.Result, error) {
	// What is left is one error or none; Reduce takes it out of the list that issuer-lib made.
	err = utilerrors.Reduce(utilerrors.FilterOut(err, isVerdict, isUnstated))
	r.endMismatch(key)
	if r.verdict == nil && err == nil {
		err = r.confirm(r.ctx)
	}
	switch {
	case r.pause > 0:
		return ctrl.Result{RequeueAfter: r.pause}, nil
	case r.verdict == nil: // gone, not ours, not approved, or done with
		if err == nil {
			r.waits.forget(key)
			r.conflicts.forget(key)
			r.unconfirmed.forget(key)
		}
		return ctrl.Result{}, err
	case isConflict(r.failure):
		if apierrors.IsNotFound(r.failure) {
			r.waits.forget(key)
		}
		return r.conflicts.retry(r.log, r.request.object(), r.failure), nil
	case err != nil:
		return ctrl.Result{}, err
	}
	r.conflicts.forget(key)
	r.announce(key)
	if r.verdict.cause != nil {
		return ctrl.Result{}, r.verdict.cause
	}
	return ctrl.Result{RequeueAfter: r.verdict.retryAfter, Priority: firstWakePriority}, nil
}
