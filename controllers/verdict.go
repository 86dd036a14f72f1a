// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"time"

	"github.com/cert-manager/selfsigned-issuer/signer"
)

// verdict is what one reconcile found out about a request.
type verdict struct {
	situation situation
	detail    string // what the message says beyond the situation, from elsewhere
	message   string // the filled sentence, see attempt.decide

	// cause is a failure of the API server: the request is retried with backoff, and the
	// failure is logged and counted as an error. Expected waits have none.
	cause error

	// retryAfter is when a wait ends by itself. Zero: only a change of the object that is
	// waited for wakes the request.
	retryAfter time.Duration

	// certificate is set when the situation is isIssued.
	certificate signer.Result
}

// retryWithin brings the next look forward.
func (v *verdict) retryWithin(delay time.Duration) {
	if v.retryAfter == 0 || delay < v.retryAfter {
		v.retryAfter = delay
	}
}

func (v *verdict) state() state { return outcomes[v.situation].state }
