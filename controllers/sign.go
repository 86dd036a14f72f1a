// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"time"

	libapi "github.com/cert-manager/issuer-lib/api/v1alpha1"
	libsigner "github.com/cert-manager/issuer-lib/controllers/signer"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/cert-manager/selfsigned-issuer/controllers/internal/outcome"
	"github.com/cert-manager/selfsigned-issuer/controllers/internal/request"
	"github.com/cert-manager/selfsigned-issuer/signer"
)

// trySign parses the request before it reads the Secret: an invalid request costs no read, and
// its author gets no information about Secrets.
func (a *attempt) trySign(ctx context.Context, object libsigner.CertificateRequestObject, issuer libapi.Issuer) *outcome.Decision {
	if err := a.issuers.complete(ctx, issuer); err != nil {
		return &outcome.Decision{Reason: outcome.ReasonIssuerReadError, Detail: outcome.ErrorText(err), Err: err}
	}
	// A version with other rules may have written the Ready condition.
	if err := request.SpecOf(issuer).Validate().ToAggregate(); err != nil {
		return &outcome.Decision{Reason: outcome.ReasonIssuerNotReady, Detail: err.Error()}
	}
	if a.request.Partial() && a.waitedForKey() {
		if d := a.keys.check(ctx, a.request.KeySecret()); d != nil {
			return a.waitForKey(ctx, d)
		}
	}
	if d := a.completeRequest(ctx); d != nil {
		return d
	}
	parsed, err := a.parse(object)
	if err != nil {
		return &outcome.Decision{Reason: outcome.ReasonInvalidRequest, Detail: err.Error()}
	}
	key, d := a.keys.read(ctx, a.request.KeySecret(), parsed, a.isPolled())
	if d != nil {
		return a.waitForKey(ctx, d)
	}
	certificate, err := signer.SelfSign(parsed, key, signerOptions(request.SpecOf(issuer)), a.clock.Now())
	if err != nil {
		return &outcome.Decision{Reason: outcome.ReasonSigningError, Detail: err.Error()}
	}
	return &outcome.Decision{Reason: outcome.ReasonIssued, Certificate: certificate}
}

func (a *attempt) parse(object libsigner.CertificateRequestObject) (*signer.ParsedRequest, error) {
	details, err := object.GetCertificateDetails()
	if err != nil {
		return nil, err
	}
	return signer.Parse(signer.Request{
		CSR:             details.CSR,
		Duration:        details.Duration,
		IsCA:            details.IsCA,
		KeyUsage:        details.KeyUsage,
		ExtKeyUsage:     details.ExtKeyUsage,
		FromCertificate: a.request.FromCertificate(),
	}, a.limits)
}

// waitedForKey returns whether only the key was missing before. The spec is immutable, so a large
// request is not read again while its Secret has no key.
func (a *attempt) waitedForKey() bool {
	object := a.request.Object()
	switch a.tracker.lastReported(client.ObjectKeyFromObject(object), object.GetUID()) {
	case outcome.ReasonSecretNotFound, outcome.ReasonMissingOwner, outcome.ReasonMissingPrivateKey, outcome.ReasonInvalidPrivateKey, outcome.ReasonWaitingForMatchingKey:
		return true
	default:
		return false
	}
}

// waitForKey completes the decision on a request without its key.
func (a *attempt) waitForKey(ctx context.Context, d *outcome.Decision) *outcome.Decision {
	if d.Reason == outcome.ReasonSecretNotFound && request.LostOwner(a.request) {
		d.Reason = outcome.ReasonMissingOwner
	}
	return a.pollSecret(ctx, a.limitMismatch(d))
}

// limitMismatch fails the request if each reconcile in the grace period found a key that does
// not match. DESIGN.md has the reason for the grace period. Each change of a watched Secret
// triggers a reconcile within triggerMaxDelay, and other Secrets are polled: a matching key is
// only missed if it is replaced earlier. The grace period starts again if the Secret is re-created,
// which was missing in between, and after a pause without reconciles.
func (a *attempt) limitMismatch(d *outcome.Decision) *outcome.Decision {
	if d.Reason != outcome.ReasonWaitingForMatchingKey {
		return d
	}
	object := a.request.Object()
	waited := a.tracker.mismatchedFor(client.ObjectKeyFromObject(object), object.GetUID(), d.Secret, a.clock, a.gracePeriod+retryMaxDelay)
	if waited >= a.gracePeriod {
		return &outcome.Decision{Reason: outcome.ReasonKeyMismatch}
	}
	// One second more, so that the next reconcile is not too early.
	d.RequeueAfter = a.gracePeriod - waited + time.Second
	return d
}

// pollSecret makes a pending request read its Secret again unless the Secret is watched. API
// server errors are retried anyway.
func (a *attempt) pollSecret(ctx context.Context, d *outcome.Decision) *outcome.Decision {
	if d.State() != outcome.Pending || d.Err != nil || a.secretWatched(ctx) {
		return d
	}
	object := a.request.Object()
	d.RequeueWithin(a.tracker.nextPoll(client.ObjectKeyFromObject(object), object.GetUID()))
	return d
}

// isPolled returns whether the request has read its Secret before and polls it.
func (a *attempt) isPolled() bool {
	object := a.request.Object()
	return a.tracker.isPolled(client.ObjectKeyFromObject(object), object.GetUID())
}

// secretWatched returns whether the cache has the Secret, see ownSecrets.
func (a *attempt) secretWatched(ctx context.Context) bool {
	return !a.pollSecrets && a.client.Get(ctx, a.request.KeySecret(), secretMetadata()) == nil
}

// postpone returns whether the write of a pending decision is too early after the last one, and
// schedules another reconcile. This limits the writes if a Secret changes again and again. Final
// decisions are never delayed.
func (a *attempt) postpone() bool {
	if a.decision.State() != outcome.Pending {
		return false
	}
	object := a.request.Object()
	rest := a.tracker.untilWrite(client.ObjectKeyFromObject(object), object.GetUID(), a.decision.Message, a.clock)
	if rest == 0 {
		return false
	}
	a.decision.RequeueWithin(rest)
	return true
}

// manifests returns the overlay and the role that grant the permissions.
func (a *attempt) manifests() (overlay, role string) {
	if a.namespaced {
		return "deploy/served-namespace", "Role selfsigned-issuer-manager"
	}
	return "deploy/overlays/default", "ClusterRole selfsigned-issuer-manager"
}

// decide sets the decision, with its message.
func (a *attempt) decide(d *outcome.Decision) {
	ref, _ := a.request.Issuer()
	overlay, role := a.manifests()
	d.Message = outcome.Args{
		"kind":       a.kind.Name,
		"annotation": a.request.KeyAnnotation(),
		"secret":     a.request.KeySecret().String(),
		"issuer":     ref.String(),
		"reference":  a.kind.Reference,
		"grace":      a.gracePeriod.String(),
		"minimum":    request.MinimumDuration.String(),
		"user":       a.request.User(),
		"overlay":    overlay,
		"role":       role,
		"detail":     d.Detail,
	}.Message(d.Reason)
	a.decision = d
}
