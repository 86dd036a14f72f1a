// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/cert-manager/selfsigned-issuer/signer"
)

// decision is what one reconcile found out about a request.
type decision struct {
	reason  Reason
	detail  string // what the message says beyond the reason, from elsewhere
	message string // the filled sentence, see attempt.decide

	// err is a failure of the API server: the request is retried with backoff, and the
	// failure is logged and counted as an error. Expected waits have none.
	err error

	// requeueAfter is when a wait ends by itself. Zero: only a change of the object that is
	// waited for wakes the request.
	requeueAfter time.Duration

	// secret is the Secret whose key does not match. Another one of the same name has another UID.
	secret types.UID

	// certificate is set when the reason is ReasonIssued.
	certificate signer.Result
}

// requeueWithin brings the next look forward.
func (d *decision) requeueWithin(delay time.Duration) {
	if d.requeueAfter == 0 || delay < d.requeueAfter {
		d.requeueAfter = delay
	}
}

func (d *decision) state() state { return outcomes[d.reason].state }
