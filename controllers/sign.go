// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"time"

	libapi "github.com/cert-manager/issuer-lib/api/v1alpha1"
	libsigner "github.com/cert-manager/issuer-lib/controllers/signer"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/cert-manager/selfsigned-issuer/signer"
)

// trySign looks at the request before it reads the Secret: a request that can never be
// signed costs no read and learns nothing about Secrets.
func (a *attempt) trySign(ctx context.Context, object libsigner.CertificateRequestObject, issuer libapi.Issuer) *decision {
	if err := a.issuers.complete(ctx, issuer); err != nil {
		return &decision{reason: ReasonIssuerReadError, detail: stableErrorText(err), err: err}
	}
	// The Ready condition may have been written by a version with other rules.
	if err := specOf(issuer).Validate().ToAggregate(); err != nil {
		return &decision{reason: ReasonIssuerNotReady, detail: err.Error()}
	}
	if a.request.partial() && a.waitedForKey() {
		if v := a.keys.check(ctx, a.request.keySecret()); v != nil {
			return a.waitForKey(ctx, v)
		}
	}
	if v := a.completeRequest(ctx); v != nil {
		return v
	}
	details, err := object.GetCertificateDetails()
	if err != nil {
		return &decision{reason: ReasonInvalidRequest, detail: err.Error()}
	}
	candidate, err := signer.Parse(signer.Request{
		CSR:             details.CSR,
		Duration:        details.Duration,
		IsCA:            details.IsCA,
		KeyUsage:        details.KeyUsage,
		ExtKeyUsage:     details.ExtKeyUsage,
		FromCertificate: a.request.fromCertificate(),
	}, a.limits)
	if err != nil {
		return &decision{reason: ReasonInvalidRequest, detail: err.Error()}
	}
	key, v := a.keys.read(ctx, a.request.keySecret(), candidate, a.isPolled())
	if v != nil {
		return a.waitForKey(ctx, v)
	}
	certificate, err := signer.SelfSign(candidate, key, signerOptions(specOf(issuer)), a.clock.Now())
	if err != nil {
		return &decision{reason: ReasonSigningError, detail: err.Error()}
	}
	return &decision{reason: ReasonIssued, certificate: certificate}
}

// waitedForKey reports whether this process has found nothing wrong with the request before, whose
// spec cannot change. A large one is not read again for a Secret without a key.
func (a *attempt) waitedForKey() bool {
	object := a.request.object()
	switch a.tracker.lastReported(client.ObjectKeyFromObject(object), object.GetUID()) {
	case ReasonSecretNotFound, ReasonMissingOwner, ReasonMissingPrivateKey, ReasonInvalidPrivateKey, ReasonWaitingForMatchingKey:
		return true
	default:
		return false
	}
}

// waitForKey completes the decision on a request whose Secret does not have its key.
func (a *attempt) waitForKey(ctx context.Context, v *decision) *decision {
	if v.reason == ReasonSecretNotFound && lostOwner(a.request.object()) {
		v.reason = ReasonMissingOwner
	}
	return a.pollSecret(ctx, a.limitGrace(v))
}

// limitGrace ends the wait for a matching key. A mismatch is mostly cert-manager replacing
// the key at this moment: failing at once would leave the Certificate in its backoff of an
// hour and more (cert-manager issues 6331 and 9097). Only a mismatch that each reconcile has
// found since it began counts, and only in one Secret: one that is created again was missing in
// between. Every change of a watched Secret starts a reconcile, within wakeMaxDelay where it
// changes all the time, and another Secret is polled, so that a matching key is missed only if it
// is replaced before that. After a pause of the process, in which it could not see any change, the
// grace period starts over.
func (a *attempt) limitGrace(v *decision) *decision {
	if v.reason != ReasonWaitingForMatchingKey {
		return v
	}
	object := a.request.object()
	waited := a.tracker.mismatchedFor(client.ObjectKeyFromObject(object), object.GetUID(), v.secret, a.clock, a.gracePeriod+retryMaxDelay)
	if waited >= a.gracePeriod {
		return &decision{reason: ReasonKeyMismatch}
	}
	// A full second more than needed, so that the next look is not a moment too early.
	v.requeueAfter = a.gracePeriod - waited + time.Second
	return v
}

// pollSecret makes a pending request read its Secret again unless the watch reports each change
// of it. A failure of the API server is retried anyway.
func (a *attempt) pollSecret(ctx context.Context, v *decision) *decision {
	if v.state() != pending || v.err != nil || a.secretWatched(ctx) {
		return v
	}
	object := a.request.object()
	v.requeueWithin(a.tracker.nextPoll(client.ObjectKeyFromObject(object), object.GetUID()))
	return v
}

// isPolled reports whether the request has read its Secret before and polls it.
func (a *attempt) isPolled() bool {
	object := a.request.object()
	return a.tracker.isPolled(client.ObjectKeyFromObject(object), object.GetUID())
}

// secretWatched reports whether the cache has the metadata of the Secret, see ownSecrets.
func (a *attempt) secretWatched(ctx context.Context) bool {
	return !a.pollSecrets && a.client.Get(ctx, a.request.keySecret(), secretMetadata()) == nil
}

// postpone reports whether the write of a pending situation must wait, and then schedules
// another reconcile. A request whose situation alternates, because its Secret does, is written
// once in a while with the situation that holds by then. A final decision is never delayed.
func (a *attempt) postpone() bool {
	if a.decision.state() != pending {
		return false
	}
	object := a.request.object()
	rest := a.tracker.untilWrite(client.ObjectKeyFromObject(object), object.GetUID(), a.decision.message, a.clock)
	if rest == 0 {
		return false
	}
	a.decision.requeueWithin(rest)
	return true
}

// manifests returns the overlay and the role that give this process its permissions.
func (a *attempt) manifests() (overlay, role string) {
	if a.namespaced {
		return "deploy/served-namespace", "Role selfsigned-issuer-manager"
	}
	return "deploy/overlays/default", "ClusterRole selfsigned-issuer-manager"
}

// decide notes what happens to the request, with the message that says so.
func (a *attempt) decide(v *decision) {
	ref, _ := a.request.issuer()
	overlay, role := a.manifests()
	v.message = messageArgs{
		"kind":       a.kind.name,
		"annotation": a.request.keyAnnotation(),
		"secret":     a.request.keySecret().String(),
		"issuer":     ref.String(),
		"reference":  a.kind.reference,
		"grace":      a.gracePeriod.String(),
		"minimum":    minimumDuration.String(),
		"user":       userOf(a.request),
		"overlay":    overlay,
		"role":       role,
		"detail":     v.detail,
	}.message(v.reason)
	a.decision = v
}
