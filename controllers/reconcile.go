// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
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

	"github.com/cert-manager/selfsigned-issuer/signer"
)

// requestReconciler reconciles one kind of request. The methods in this file are in the order
// in which issuer-lib's RequestController calls them:
//
//	matchIssuer    is the request for one of our issuers?
//	IsApproved ... is there anything left to do?
//	preflight      what can be decided without the issuer?
//	SetWaiting...  is the issuer ready?
//	sign           the private key, and the certificate
//	write          one guarded write, and what is recorded after it
//	finish         when the request is reconciled again
type requestReconciler struct {
	kind             requestKind
	client           client.Client
	keys             keyReader
	requests         requestReader
	issuers          issuerReader
	slots            *FairSlots
	recorder         events.EventRecorder
	clock            clock.PassiveClock
	gracePeriod      time.Duration
	tracker          *pendingTracker
	finishedRequests finishedRequests
	metrics          *metrics
	limits           signer.Limits
	// conflicts delays the retries of writes that did not find what was read.
	conflicts   *conflicts
	unconfirmed unconfirmed[unconfirmedEnd]

	namespaced  bool // cluster issuers are out of reach
	pollSecrets bool // no watch reports when a Secret changes
}

// attempt is one reconcile of one request. It is the helper that issuer-lib asks about the
// request: the library's own helpers write each request twice, without saying which version of
// the object they mean, and have one event for each attempt.
type attempt struct {
	unusedCallbacks
	*requestReconciler
	log         logr.Logger
	request     request       // nil until it was read
	decision    *decision     // nil until it is decided
	failure     error         // of the status write
	pause       time.Duration // when nothing is to be done about the request yet
	releaseSlot func()        // nil without a slot, see newReadSlots
}

var (
	_ libcontrollers.RequestObjectHelper = &attempt{}
	_ libcontrollers.RequestPatchHelper  = &attempt{}
)

// neverTooLate keeps issuer-lib from failing a request because of its age: a failure of the
// API server, however long it lasts, is not the request's fault.
const neverTooLate = time.Duration(math.MaxInt64)

// Reconcile decides on one request and writes the decision.
func (r *requestReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	if ctx.Err() != nil {
		return ctrl.Result{}, nil // the process is being stopped: another one does it
	}
	// What has begun is finished, within the time that the manager gives it to stop, and does
	// not wait for an answer for ever.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), reconcileTimeout)
	defer cancel()
	a := &attempt{requestReconciler: r, log: log.FromContext(ctx)}
	defer a.dropSlot()
	// The library's controller is a value without state, so that each attempt can have its own.
	library := &libcontrollers.RequestController{
		FieldOwner:               Name,
		MaxRetryDuration:         neverTooLate,
		Client:                   statusClient{r.client, a.write},
		Sign:                     a.sign,
		IgnoreCertificateRequest: a.preflight,
		EventRecorder:            r.recorder,
		Clock:                    r.clock,
	}
	library.Init(r.kind.newObject(), nil, a.matchIssuer, a.helper)
	// issuer-lib logs every wait as an error; record logs decisions, once each.
	_, err := library.Reconcile(log.IntoContext(ctx, logr.Discard()), req)
	return a.finish(ctx, req.NamespacedName, err)
}

var (
	// errNotOurs makes issuer-lib leave a request alone.
	errNotOurs = errors.New("the request is for another issuer")
	// errTooEarly makes issuer-lib leave a request for later.
	errTooEarly = errors.New("the cache does not show yet what the last write met")
)

// matchIssuer is where issuer-lib first hands over the object.
func (a *attempt) matchIssuer(object client.Object) (libapi.Issuer, types.NamespacedName, error) {
	a.request = a.kind.wrap(object)
	ref, ours := a.request.issuer()
	if !ours {
		return nil, types.NamespacedName{}, errNotOurs
	}
	if a.pause = a.conflicts.pause(object); a.pause > 0 {
		return nil, types.NamespacedName{}, errTooEarly
	}
	return ref.newObject(), ref.key, nil
}

func (a *attempt) helper(client.Object) libcontrollers.RequestObjectHelper { return a }

// IsApproved lets denied requests pass as well: the library stops at what nobody has decided
// on, and a denial has to be written to the request, see preflight.
func (a *attempt) IsApproved() bool { return a.request.approved() || a.request.denied() }

// IsDenied is about what has been written already.
func (a *attempt) IsDenied() bool { return a.request.denialRecorded() }

// IsReady covers every end of a request, Failed as well: a finished one is never touched again.
func (a *attempt) IsReady() bool {
	return a.request.finished() || a.finishedRequests.isFinalizedVersion(a.request.object())
}

// RequestObject is what sign gets.
func (a *attempt) RequestObject() libsigner.CertificateRequestObject { return a.request.details() }

// preflight runs before the issuer is looked at and finds what no issuer can change. True ends
// the attempt.
func (a *attempt) preflight(ctx context.Context, _ libsigner.CertificateRequestObject, _ schema.GroupVersionKind, _ types.NamespacedName) (bool, error) {
	if busy, err := a.acquireSlot(ctx); busy || err != nil {
		return busy, err
	}
	switch {
	case a.request.denied():
		a.decide(&decision{reason: ReasonDenied})
	case a.clusterIssuersDisabled():
		a.decide(&decision{reason: ReasonIssuerNotServed})
	case a.kind.preflight != nil:
		v := a.completeRequest(ctx)
		if v == nil {
			v = a.kind.preflight(ctx, a.request)
		}
		if v != nil {
			a.decide(v)
		}
	}
	if a.decision == nil && a.request.keySecret().Name == "" {
		a.decide(&decision{reason: ReasonMissingAnnotation})
	}
	return false, nil
}

// clusterIssuersDisabled returns whether the request is for a cluster issuer, which a process with
// permissions in some namespaces only must not even ask for.
func (a *attempt) clusterIssuersDisabled() bool {
	ref, _ := a.request.issuer()
	return a.namespaced && ref.kind == clusterIssuerKind
}

// SetInitializing is asked before the issuer is read: true ends the flow with a write.
func (a *attempt) SetInitializing() bool { return a.decision != nil }

// SetWaitingForIssuerExist is about the cache: write asks the API server.
func (a *attempt) SetWaitingForIssuerExist(error) {
	a.decide(&decision{reason: ReasonIssuerNotFound})
}

// SetWaitingForIssuerReadyNoCondition gets an issuer that is new.
func (a *attempt) SetWaitingForIssuerReadyNoCondition() {
	a.decide(&decision{reason: ReasonIssuerNotChecked})
}

// SetWaitingForIssuerReadyOutdated gets an issuer whose condition is about a former spec.
func (a *attempt) SetWaitingForIssuerReadyOutdated() {
	a.decide(&decision{reason: ReasonIssuerOutdated})
}

// SetWaitingForIssuerReadyNotReady also gets what the library writes to a new issuer before
// it checks it.
func (a *attempt) SetWaitingForIssuerReadyNotReady(ready *metav1.Condition) {
	if ready.Reason == libapi.IssuerConditionReasonInitializing {
		a.decide(&decision{reason: ReasonIssuerNotChecked})
		return
	}
	a.decide(&decision{reason: ReasonIssuerNotReady, detail: ready.Message})
}

// NewPatch and Patch leave what is written to write.
func (a *attempt) NewPatch(clock.PassiveClock, string, events.EventRecorder) libcontrollers.RequestPatchHelper {
	return a
}

// Patch returns the object; the patch is made by write.
func (a *attempt) Patch() (client.Object, client.Patch, error) { return a.request.object(), nil, nil }

// sign is issuer-lib's Sign hook: a Ready issuer is to sign an approved request.
func (a *attempt) sign(ctx context.Context, details libsigner.CertificateRequestObject, issuer libapi.Issuer) (libsigner.PEMBundle, error) {
	start := time.Now()
	v := a.trySign(ctx, details, issuer)
	a.decide(v)
	if v.reason != ReasonIssued {
		return libsigner.PEMBundle{}, errors.New(v.message)
	}
	a.metrics.signed(start)
	return libsigner.PEMBundle{ChainPEM: v.certificate.PEM, CAPEM: v.certificate.PEM}, nil
}

// write writes the decision and records it. It gets what Patch returned: the library takes
// NotFound for success, and its patch does not say which version of the object it means.
func (a *attempt) write(ctx context.Context, _ client.Object, _ client.Patch, options ...client.SubResourcePatchOption) error {
	if a.decision.reason == ReasonIssuerNotFound {
		ref, _ := a.request.issuer()
		a.decide(a.issuers.diagnoseMissingIssuer(ctx, ref))
	}
	key := client.ObjectKeyFromObject(a.request.object())
	if a.decision.reason != ReasonWaitingForMatchingKey && a.decision.reason != ReasonKeyMismatch {
		a.tracker.endMismatch(key)
	}
	if a.postpone() {
		return nil
	}
	status, stated := a.status()
	if stated {
		a.failure = a.apply(ctx, status, options...)
	}
	if a.failure == nil {
		a.conflicts.forget(key)
		a.record(stated)
	}
	return a.failure
}

// finish returns when the request is reconciled again. err is what issuer-lib returned.
func (a *attempt) finish(ctx context.Context, key types.NamespacedName, err error) (ctrl.Result, error) {
	if a.pause > 0 {
		return ctrl.Result{RequeueAfter: a.pause}, nil
	}
	if a.decision == nil { // gone, not ours, not approved, or done with
		if err == nil {
			err = a.confirm(ctx)
		}
		if err == nil && a.pause == 0 {
			a.forget(key)
		}
		return ctrl.Result{RequeueAfter: a.pause}, err
	}
	// Whatever issuer-lib returned is the decision again, or the failure of the write.
	switch {
	case apierrors.IsNotFound(a.failure):
		a.tracker.forget(key)
		fallthrough
	case isConflict(a.failure):
		return a.conflicts.retry(a.log, a.request.object(), a.failure), nil
	case a.failure != nil:
		return ctrl.Result{}, a.failure
	case a.decision.err != nil:
		return ctrl.Result{}, a.decision.err
	}
	return ctrl.Result{RequeueAfter: a.decision.requeueAfter, Priority: firstWakePriority}, nil
}

// forget drops what is remembered of a request that needs nothing more.
func (a *attempt) forget(key types.NamespacedName) {
	a.tracker.forget(key)
	a.conflicts.forget(key)
	a.unconfirmed.forget(key)
}
