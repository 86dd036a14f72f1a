// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"time"

	"github.com/cert-manager/selfsigned-issuer/signer"
)

// decision is what one reconcile found out about a request.
type decision struct {
	reason  Reason
	detail  string // what the message says beyond the situation, from elsewhere
	message string // the filled sentence, see attempt.decide

	// cause is a failure of the API server: the request is retried with backoff, and the
	// failure is logged and counted as an error. Expected pendingTracker have none.
	err error

	// requeueAfter is when a wait ends by itself. Zero: only a change of the object that is
	// waited for wakes the request.
	requeueAfter time.Duration

	// certificate is set when the situation is ReasonIssued.
	certificate signer.Result
}

// requeueWithin brings the next look forward.
func (v *decision) requeueWithin(delay time.Duration) {
	if v.requeueAfter == 0 || delay < v.requeueAfter {
		v.requeueAfter = delay
	}
}

func (v *decision) state() state { return outcomes[v.reason].state }
