// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"time"

	libapi "github.com/cert-manager/issuer-lib/api/v1alpha1"
	libsigner "github.com/cert-manager/issuer-lib/controllers/signer"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/cert-manager/selfsigned-issuer/signer"
)

// sign is issuer-lib's Sign hook: a Ready issuer is to sign an approved request. Every error
// that it returns is a verdict.
func (r *run) sign(ctx context.Context, details libsigner.CertificateRequestObject, issuer libapi.Issuer) (libsigner.PEMBundle, error) {
	start := time.Now()
	v := r.trySign(ctx, details, issuer)
	r.decide(v)
	if v.situation != isIssued {
		return libsigner.PEMBundle{}, v
	}
	r.metrics.signed(start)
	return libsigner.PEMBundle{ChainPEM: v.certificate.PEM, CAPEM: v.certificate.PEM}, nil
}

// trySign looks at the request before it reads the Secret: a request that can never be
// signed costs no read and learns nothing about Secrets.
func (r *run) trySign(ctx context.Context, object libsigner.CertificateRequestObject, issuer libapi.Issuer) *verdict {
	if v := r.completeRequest(ctx); v != nil {
		return v
	}
	details, err := object.GetCertificateDetails()
	if err != nil {
		return &verdict{situation: malformedRequest, detail: err.Error()}
	}
	candidate, err := signer.Parse(signer.Request{
		CSR:             details.CSR,
		Duration:        details.Duration,
		IsCA:            details.IsCA,
		KeyUsage:        details.KeyUsage,
		ExtKeyUsage:     details.ExtKeyUsage,
		FromCertificate: r.request.fromCertificate(),
	}, r.limits)
	if err != nil {
		return &verdict{situation: malformedRequest, detail: err.Error()}
	}
	key, v := r.keys.read(ctx, r.request.keySecret(), candidate)
	if v != nil {
		if v.situation == missingSecret && lostOwner(r.request.object()) {
			v.situation = missingOwner
		}
		return r.pollSecret(ctx, r.limitGrace(v))
	}
	certificate, err := signer.SelfSign(candidate, key, signerOptions(specOf(issuer)), r.clock.Now())
	if err != nil {
		return &verdict{situation: unsignable, detail: err.Error()}
	}
	return &verdict{situation: isIssued, certificate: certificate}
}

// limitGrace ends the wait for a matching key. A mismatch is mostly cert-manager replacing
// the key at this moment: failing at once would leave the Certificate in its backoff of an
// hour and more (cert-manager issues 6331 and 9097). Only a mismatch that each reconcile has
// found since it began counts. Every change of a watched Secret starts a reconcile, within
// wakeMost where it changes all the time, and another Secret is polled, so that a matching key is
// missed only if it is replaced before that. After a pause of the process, in which it could not see any change,
// the grace period starts over.
func (r *run) limitGrace(v *verdict) *verdict {
	if v.situation != waitingForKey {
		return v
	}
	object := r.request.object()
	waited := r.waits.mismatchedFor(client.ObjectKeyFromObject(object), object.GetUID(), r.clock, r.grace+retryMost)
	if waited >= r.grace {
		return &verdict{situation: wrongKey}
	}
	// A full second more than needed, so that the next look is not a moment too early.
	v.retryAfter = r.grace - waited + time.Second
	return v
}

// endMismatch ends the wait for a matching key when anything else was found.
func (r *run) endMismatch(key types.NamespacedName) {
	if r.verdict != nil && r.verdict.situation != waitingForKey && r.verdict.situation != wrongKey {
		r.waits.endMismatch(key)
	}
}

// pollSecret makes a pending request read its Secret again unless the watch reports each change
// of it. A failure of the API server is retried anyway, and nobody needs a request without its
// owner.
func (r *run) pollSecret(ctx context.Context, v *verdict) *verdict {
	if v.state() != pending || v.cause != nil || v.situation == missingOwner || r.secretWatched(ctx) {
		return v
	}
	object := r.request.object()
	v.retryWithin(r.waits.nextLook(client.ObjectKeyFromObject(object), object.GetUID()))
	return v
}

// secretWatched reports whether the cache has the metadata of the Secret, see ownSecrets.
func (r *run) secretWatched(ctx context.Context) bool {
	return !r.pollSecrets && r.client.Get(ctx, r.request.keySecret(), secretMetadata()) == nil
}

// postpone reports whether the write of a pending situation must wait, and then schedules
// another reconcile. A request whose situation alternates, because its Secret does, is written
// once in a while with the situation that holds by then. A final decision is never delayed.
func (r *run) postpone() bool {
	if r.verdict.state() != pending {
		return false
	}
	object := r.request.object()
	rest := r.waits.untilWrite(client.ObjectKeyFromObject(object), object.GetUID(), r.verdict.message, r.clock)
	if rest == 0 {
		return false
	}
	r.verdict.retryWithin(rest)
	return true
}

// manifests returns the overlay and the role that give this process its rights.
func (r *run) manifests() (overlay, role string) {
	if r.namespaced {
		return "deploy/served-namespace", "Role selfsigned-issuer-manager"
	}
	return "deploy/overlays/default", "ClusterRole selfsigned-issuer-manager"
}

// decide settles what becomes of the request, and the sentence that says so.
func (r *run) decide(v *verdict) {
	ref, _ := r.request.issuer()
	overlay, role := r.manifests()
	v.message = facts{
		"kind":       r.kind.name,
		"annotation": r.request.keyAnnotation(),
		"secret":     r.request.keySecret().String(),
		"issuer":     ref.String(),
		"reference":  r.kind.reference,
		"grace":      r.grace.String(),
		"minimum":    minimumDuration.String(),
		"user":       userOf(r.request),
		"overlay":    overlay,
		"role":       role,
		"detail":     v.detail,
	}.fill(v.situation)
	r.verdict = v
}
