// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"

	libapi "github.com/cert-manager/issuer-lib/api/v1alpha1"
	libcontrollers "github.com/cert-manager/issuer-lib/controllers"
	libsigner "github.com/cert-manager/issuer-lib/controllers/signer"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// errNotOurs makes issuer-lib leave a request alone.
var errNotOurs = errors.New("the request is for another issuer")

// errTooEarly makes issuer-lib leave a request for later.
var errTooEarly = errors.New("the cache does not show yet what the last write met")

// helper answers issuer-lib's questions about a request and takes its conclusions. It
// replaces the library's own helpers: those write each request twice, without saying which
// version of the object they mean, and have one event for each attempt.
type helper struct{ *run }

var (
	_ libcontrollers.RequestObjectHelper = helper{}
	_ libcontrollers.RequestPatchHelper  = helper{}
)

func (r *run) newHelper(client.Object) libcontrollers.RequestObjectHelper { return helper{r} }

// IsApproved lets denied requests pass as well: the library stops at what nobody has decided
// on, and a denial has to be written to the request, see preflight.
func (h helper) IsApproved() bool { return h.request.approved() || h.request.denied() }

// IsDenied is about what has been written already.
func (h helper) IsDenied() bool { return h.request.deniedAlready() }

// IsReady covers every end of a request: a finished one is never touched again.
func (h helper) IsReady() bool {
	return h.request.finished() || h.written.over(h.request.object())
}

// IsFailed is covered by IsReady.
func (h helper) IsFailed() bool { return false }

func (h helper) RequestObject() libsigner.CertificateRequestObject { return h.request.details() }

func (h helper) NewPatch(clock.PassiveClock, string, events.EventRecorder) libcontrollers.RequestPatchHelper {
	return h
}

// preflight runs before the issuer is looked at and finds what no issuer can change. True ends
// the run.
func (r *run) preflight(ctx context.Context, _ libsigner.CertificateRequestObject, _ schema.GroupVersionKind, _ types.NamespacedName) (bool, error) {
	if busy, err := r.acquireSlot(ctx); busy || err != nil {
		return busy, err
	}
	switch {
	case r.request.denied():
		r.decide(&verdict{situation: isDenied})
	case r.outOfReach():
		r.decide(&verdict{situation: unservedIssuer})
	case r.kind.preflight != nil:
		v := r.completeRequest(ctx)
		if v == nil {
			v = r.kind.preflight(ctx, r.request)
		}
		if v != nil {
			r.decide(v)
		}
	}
	if r.verdict == nil && r.request.keySecret().Name == "" {
		r.decide(&verdict{situation: missingAnnotation})
	}
	return false, nil
}

// outOfReach reports whether the request is for a cluster issuer, which a process with rights
// in some namespaces alone must not even ask for.
func (r *run) outOfReach() bool {
	ref, _ := r.request.issuer()
	return r.namespaced && ref.kind == clusterIssuerKind
}

// SetInitializing is asked before the issuer is read: true ends the flow with a write.
func (h helper) SetInitializing() bool { return h.verdict != nil }

func (h helper) SetWaitingForIssuerExist(error) {
	ref, _ := h.request.issuer()
	h.decide(h.issuers.missing(h.ctx, ref))
}

func (h helper) SetWaitingForIssuerReadyNoCondition() {
	h.decide(&verdict{situation: uncheckedIssuer})
}

func (h helper) SetWaitingForIssuerReadyOutdated() {
	h.decide(&verdict{situation: outdatedIssuer})
}

// SetWaitingForIssuerReadyNotReady also gets what the library writes to a new issuer before
// it checks it.
func (h helper) SetWaitingForIssuerReadyNotReady(ready *metav1.Condition) {
	if ready.Reason == libapi.IssuerConditionReasonInitializing {
		h.decide(&verdict{situation: uncheckedIssuer})
		return
	}
	h.decide(&verdict{situation: unreadyIssuer, detail: ready.Message})
}

// SetRetryableError and SetIssued bring what sign returned, and sign has decided already:
// what follows from a verdict is in the table of outcomes and not in the kind of error.
func (h helper) SetRetryableError(error) {}

func (h helper) SetIssued(libsigner.PEMBundle) {}

// SetPermanentError, SetPending, SetCustomCondition and SetUnexpectedError belong to errors
// that Sign never returns.
func (h helper) SetPermanentError(error) {}

func (h helper) SetPending(string) {}

func (h helper) SetCustomCondition(string, metav1.ConditionStatus, string, string) bool { return false }

func (h helper) SetUnexpectedError(error) {}
