// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"crypto"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimachineryvalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/cert-manager/selfsigned-issuer/controllers/internal/outcome"
	"github.com/cert-manager/selfsigned-issuer/signer"
)

// keyReader reads private keys from the API server when a request is signed. Keys are not
// cached.
type keyReader struct {
	live   client.Reader // must not be a cache
	limits signer.Limits
}

// fromWatchCache makes the API server answer from its memory, which is cheaper and can be stale.
var fromWatchCache = &client.GetOptions{Raw: &metav1.GetOptions{ResourceVersion: "0"}}

// read returns the private key of the request, or the decision if there is none. A key that
// matches the request is correct however old the answer is. All other results need a consistent
// read, which is the only one for a request that polls, because usually nothing has changed.
func (k keyReader) read(ctx context.Context, secret types.NamespacedName, parsed *signer.ParsedRequest, polled bool) (crypto.Signer, *outcome.Decision) {
	if !isValidName(secret) {
		return nil, &outcome.Decision{Reason: outcome.ReasonSecretNotFound}
	}
	if !polled {
		if key, d := k.readOnce(ctx, secret, parsed, fromWatchCache); d == nil {
			return key, nil
		}
	}
	return k.readOnce(ctx, secret, parsed, &client.GetOptions{})
}

// check returns the decision on a request whose Secret has no usable key; nil if there is one.
func (k keyReader) check(ctx context.Context, secret types.NamespacedName) *outcome.Decision {
	if !isValidName(secret) {
		return &outcome.Decision{Reason: outcome.ReasonSecretNotFound}
	}
	_, _, d := k.get(ctx, secret, &client.GetOptions{})
	return d
}

// isValidName returns whether an object can have the name, which another object has in a field. The
// API server would reject an invalid name, which would be reported as its error.
func isValidName(key types.NamespacedName) bool {
	return len(apimachineryvalidation.NameIsDNSSubdomain(key.Name, false)) == 0
}

func (k keyReader) readOnce(ctx context.Context, name types.NamespacedName, parsed *signer.ParsedRequest, options *client.GetOptions) (crypto.Signer, *outcome.Decision) {
	key, uid, d := k.get(ctx, name, options)
	if d == nil && !parsed.HasKey(key.Public()) {
		d = &outcome.Decision{Reason: outcome.ReasonWaitingForMatchingKey, Secret: uid}
	}
	if d != nil {
		return nil, d
	}
	return key, nil
}

// get returns the usable key in a Secret, and the UID of the Secret.
func (k keyReader) get(ctx context.Context, name types.NamespacedName, options *client.GetOptions) (crypto.Signer, types.UID, *outcome.Decision) {
	var secret corev1.Secret
	if err := k.live.Get(ctx, name, &secret, options); err != nil {
		return nil, "", readFailure(err)
	}
	data := secret.Data[corev1.TLSPrivateKeyKey]
	if len(data) == 0 {
		return nil, "", &outcome.Decision{Reason: outcome.ReasonMissingPrivateKey}
	}
	key, err := signer.ParsePrivateKey(data, k.limits)
	if err != nil {
		return nil, "", &outcome.Decision{Reason: outcome.ReasonInvalidPrivateKey, Detail: err.Error()}
	}
	return key, secret.UID, nil
}

// readFailure returns the decision on an error. All errors except NotFound are retried with
// backoff.
func readFailure(err error) *outcome.Decision {
	switch {
	case apierrors.IsNotFound(err):
		return &outcome.Decision{Reason: outcome.ReasonSecretNotFound}
	case apierrors.IsForbidden(err):
		return &outcome.Decision{Reason: outcome.ReasonSecretForbidden, Err: err}
	default:
		return &outcome.Decision{Reason: outcome.ReasonSecretReadError, Detail: outcome.ErrorText(err), Err: err}
	}
}
