// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/cert-manager/selfsigned-issuer/signer"
)

// decision is the result of one reconcile of a request.
type decision struct {
	reason  Reason
	detail  string // for the message
	message string // rendered, see attempt.decide

	// err is an API server error. The request is retried with backoff, and the error is logged
	// and counted.
	err error

	// requeueAfter is the delay before the next reconcile. Zero: only the watches trigger it.
	requeueAfter time.Duration

	// secret is the UID of the Secret whose key does not match.
	secret types.UID

	// certificate is set when the reason is ReasonIssued.
	certificate signer.Result
}

// requeueWithin limits requeueAfter.
func (d *decision) requeueWithin(delay time.Duration) {
	if d.requeueAfter == 0 || delay < d.requeueAfter {
		d.requeueAfter = delay
	}
}

func (d *decision) state() state { return outcomes[d.reason].state }
