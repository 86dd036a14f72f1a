// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"cmp"
	"context"
	"errors"
	"math"
	"time"

	libapi "github.com/cert-manager/issuer-lib/api/v1alpha1"
	libcontrollers "github.com/cert-manager/issuer-lib/controllers"
	libsigner "github.com/cert-manager/issuer-lib/controllers/signer"
	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/cert-manager/selfsigned-issuer/controllers/internal/metrics"
	"github.com/cert-manager/selfsigned-issuer/controllers/internal/outcome"
	"github.com/cert-manager/selfsigned-issuer/controllers/internal/request"
	"github.com/cert-manager/selfsigned-issuer/signer"
)

// requestReconciler reconciles one kind of request. The methods in this file are in the order
// in which issuer-lib's RequestController calls them:
//
//	matchIssuer    Is the request for one of our issuers?
//	IsApproved ... Is it approved or denied, and not finished?
//	preflight      Decide what does not depend on the issuer.
//	SetWaiting...  Is the issuer ready?
//	sign           Read the private key and sign.
//	write          Write the decision once, and record it.
//	finish         Return when the request is reconciled again.
type requestReconciler struct {
	kind             request.Kind
	client           client.Client
	keys             keyReader
	requests         requestReader
	issuers          issuerReader
	slots            *requestSlots
	recorder         events.EventRecorder
	clock            clock.PassiveClock
	gracePeriod      time.Duration
	tracker          *pendingTracker
	finishedRequests finishedRequests
	metrics          *metrics.Metrics
	limits           signer.Limits
	// conflicts delays the retries of writes that met a conflict.
	conflicts   *conflicts
	unconfirmed unconfirmed[unconfirmedEnd]

	namespaced  bool // with --namespaces, cluster issuers are not served
	pollSecrets bool // Secrets are not watched
}

// attempt is one reconcile of one request. It replaces issuer-lib's helpers, which write each
// request twice, without UID and resourceVersion, and send an event for each attempt.
type attempt struct {
	unusedCallbacks
	*requestReconciler
	log            logr.Logger
	request        request.Request   // nil until it is read
	decision       *outcome.Decision // nil until it is made
	writeErr       error             // of the status write
	retryAfter     time.Duration     // set to end the attempt without a decision
	waitingForSlot bool              // the attempt ends without a decision, see requestSlots
}

var (
	_ libcontrollers.RequestObjectHelper = &attempt{}
	_ libcontrollers.RequestPatchHelper  = &attempt{}
)

// noMaxRetryDuration disables issuer-lib's limit for the age of a request, which would fail
// requests after an outage of the API server.
const noMaxRetryDuration = time.Duration(math.MaxInt64)

// Reconcile decides on one request and writes the decision.
func (r *requestReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	if ctx.Err() != nil {
		return ctrl.Result{}, nil // selfsigned-issuer stops, the next leader continues
	}
	// A reconcile that has started continues during a graceful shutdown.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), reconcileTimeout)
	defer cancel()
	a := &attempt{requestReconciler: r, log: log.FromContext(ctx)}
	defer a.releaseSlot(req.NamespacedName)
	library := &libcontrollers.RequestController{
		FieldOwner:               Name,
		MaxRetryDuration:         noMaxRetryDuration,
		Client:                   statusClient{r.client, a.write},
		Sign:                     a.sign,
		IgnoreCertificateRequest: a.preflight,
		EventRecorder:            r.recorder,
		Clock:                    r.clock,
	}
	library.Init(r.kind.NewObject(), nil, a.matchIssuer, a.helper)
	// issuer-lib logs each pending request as an error. record logs each decision once.
	_, err := library.Reconcile(log.IntoContext(ctx, logr.Discard()), req)
	return a.finish(ctx, req.NamespacedName, err)
}

var (
	// errNotOurs makes issuer-lib ignore a request.
	errNotOurs = errors.New("the request is for another issuer")
	// errTooEarly makes issuer-lib end the attempt.
	errTooEarly = errors.New("the cache still has the version that met a conflict")
)

// matchIssuer gets the object as it was read.
func (a *attempt) matchIssuer(object client.Object) (libapi.Issuer, types.NamespacedName, error) {
	a.request = a.kind.Wrap(object)
	ref, ours := a.request.Issuer()
	if !ours {
		return nil, types.NamespacedName{}, errNotOurs
	}
	if a.retryAfter = a.conflicts.retryAfter(object); a.retryAfter > 0 {
		return nil, types.NamespacedName{}, errTooEarly
	}
	return ref.NewObject(), ref.Key, nil
}

func (a *attempt) helper(client.Object) libcontrollers.RequestObjectHelper { return a }

// IsApproved includes denied requests, to which preflight's decision is written. issuer-lib
// ends the attempt if it is false.
func (a *attempt) IsApproved() bool { return a.request.Approved() || a.request.Denied() }

// IsDenied is true if the denial has been written.
func (a *attempt) IsDenied() bool { return a.request.DenialRecorded() }

// IsReady is true for each finished request, including a failed one: it is never written again.
func (a *attempt) IsReady() bool {
	return a.request.Finished() || a.finishedRequests.isFinalizedVersion(a.request.Object())
}

// RequestObject is the argument of preflight and sign.
func (a *attempt) RequestObject() libsigner.CertificateRequestObject { return a.request.Details() }

// preflight decides what does not depend on the issuer. True ends the attempt.
func (a *attempt) preflight(ctx context.Context, _ libsigner.CertificateRequestObject, _ schema.GroupVersionKind, _ types.NamespacedName) (bool, error) {
	if !a.acquireSlot() {
		return true, nil
	}
	switch {
	case a.request.Denied():
		a.decide(&outcome.Decision{Reason: outcome.ReasonDenied})
	case a.clusterIssuersDisabled():
		a.decide(&outcome.Decision{Reason: outcome.ReasonIssuerNotServed})
	case a.kind.Preflight != nil:
		d := a.completeRequest(ctx)
		if d == nil {
			d = a.kind.Preflight(ctx, a.request)
		}
		if d != nil {
			a.decide(d)
		}
	}
	if a.decision == nil && a.request.KeySecret().Name == "" {
		a.decide(&outcome.Decision{Reason: outcome.ReasonMissingAnnotation})
	}
	return false, nil
}

// clusterIssuersDisabled returns whether the request is for a cluster issuer, and
// selfsigned-issuer has no permission to read these.
func (a *attempt) clusterIssuersDisabled() bool {
	ref, _ := a.request.Issuer()
	return a.namespaced && ref.Kind == request.ClusterIssuerKind
}

// SetInitializing is called before the issuer is read. True writes preflight's decision.
func (a *attempt) SetInitializing() bool { return a.decision != nil }

// SetWaitingForIssuerExist is called if the cache has no issuer. write asks the API server.
func (a *attempt) SetWaitingForIssuerExist(error) {
	a.decide(&outcome.Decision{Reason: outcome.ReasonIssuerNotFound})
}

// SetWaitingForIssuerReadyNoCondition is called for an issuer without a status.
func (a *attempt) SetWaitingForIssuerReadyNoCondition() {
	a.decide(&outcome.Decision{Reason: outcome.ReasonIssuerNotChecked})
}

// SetWaitingForIssuerReadyOutdated is called for an issuer that is new or was changed.
func (a *attempt) SetWaitingForIssuerReadyOutdated() {
	a.decide(&outcome.Decision{Reason: outcome.ReasonIssuerNotChecked})
}

// SetWaitingForIssuerReadyNotReady is called for an issuer that is not ready. issuer-lib also
// writes such a condition before the first check, if older CRDs set no default.
func (a *attempt) SetWaitingForIssuerReadyNotReady(ready *metav1.Condition) {
	if ready.Reason == libapi.IssuerConditionReasonInitializing {
		a.decide(&outcome.Decision{Reason: outcome.ReasonIssuerNotChecked})
		return
	}
	a.decide(&outcome.Decision{Reason: outcome.ReasonIssuerNotReady, Detail: ready.Message})
}

// NewPatch returns the attempt, whose write makes the patch.
func (a *attempt) NewPatch(clock.PassiveClock, string, events.EventRecorder) libcontrollers.RequestPatchHelper {
	return a
}

// Patch returns the object without a patch.
func (a *attempt) Patch() (client.Object, client.Patch, error) { return a.request.Object(), nil, nil }

// sign is issuer-lib's Sign hook, for an approved request with a ready issuer.
func (a *attempt) sign(ctx context.Context, details libsigner.CertificateRequestObject, issuer libapi.Issuer) (libsigner.PEMBundle, error) {
	start := time.Now()
	d := a.trySign(ctx, details, issuer)
	a.decide(d)
	if d.Reason != outcome.ReasonIssued {
		return libsigner.PEMBundle{}, errors.New(d.Message)
	}
	a.metrics.Signed(start)
	return libsigner.PEMBundle{ChainPEM: d.Certificate.PEM, CAPEM: d.Certificate.PEM}, nil
}

// write writes the decision and records it. It replaces issuer-lib's write, which has no UID
// and resourceVersion, and treats NotFound as success.
func (a *attempt) write(ctx context.Context, _ client.Object, _ client.Patch, options ...client.SubResourcePatchOption) error {
	if a.decision.Reason == outcome.ReasonIssuerNotFound {
		ref, _ := a.request.Issuer()
		a.decide(a.issuers.diagnoseMissingIssuer(ctx, ref))
	}
	key := client.ObjectKeyFromObject(a.request.Object())
	if a.decision.Reason != outcome.ReasonWaitingForMatchingKey && a.decision.Reason != outcome.ReasonKeyMismatch {
		a.tracker.endMismatch(key)
	}
	if a.postpone() {
		return nil
	}
	status, changed := a.status()
	if changed {
		a.writeErr = a.apply(ctx, status, options...)
	}
	if a.writeErr == nil {
		a.conflicts.forget(key)
		a.record(changed)
	}
	return a.writeErr
}

// finish returns when the request is reconciled again. err is the error of issuer-lib.
func (a *attempt) finish(ctx context.Context, key types.NamespacedName, err error) (ctrl.Result, error) {
	if a.retryAfter > 0 || a.waitingForSlot {
		return ctrl.Result{RequeueAfter: a.retryAfter}, nil
	}
	if a.decision == nil {
		return ctrl.Result{}, a.finishUndecided(ctx, key, err)
	}
	// The error of issuer-lib is that of the write or of the decision.
	if apierrors.IsNotFound(a.writeErr) {
		a.tracker.forget(key)
	}
	if isConflict(a.writeErr) {
		return a.conflicts.retry(a.log, a.request.Object(), a.writeErr), nil
	}
	if err := cmp.Or(a.writeErr, a.decision.Err); err != nil {
		return ctrl.Result{}, err
	}
	return ctrl.Result{RequeueAfter: a.decision.RequeueAfter, Priority: pendingPriority}, nil
}

// finishUndecided ends the attempt for a request that is deleted, not ours, not approved or
// finished.
func (a *attempt) finishUndecided(ctx context.Context, key types.NamespacedName, err error) error {
	if err == nil {
		err = a.confirm(ctx)
	}
	if err == nil && !a.waitingForSlot {
		a.forget(key)
	}
	return err
}

// forget drops the state of a request.
func (a *attempt) forget(key types.NamespacedName) {
	a.tracker.forget(key)
	a.conflicts.forget(key)
	a.unconfirmed.forget(key)
}
