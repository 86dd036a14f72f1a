// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package outcome

import (
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/cert-manager/selfsigned-issuer/signer"
)

// Decision is the result of one reconcile of a request.
type Decision struct {
	Reason  Reason
	Detail  string // for the message
	Message string // rendered

	// Err is an API server error. The request is retried with backoff, and the error is logged
	// and counted.
	Err error

	// RequeueAfter is the delay before the next reconcile. Zero: only the watches trigger it.
	RequeueAfter time.Duration

	// Secret is the UID of the Secret whose key does not match.
	Secret types.UID

	// Certificate is set when the reason is ReasonIssued.
	Certificate signer.Result
}

// RequeueWithin limits RequeueAfter.
func (d *Decision) RequeueWithin(delay time.Duration) {
	if d.RequeueAfter == 0 || delay < d.RequeueAfter {
		d.RequeueAfter = delay
	}
}

// State is the state of the outcome.
func (d *Decision) State() State { return Table[d.Reason].State }
