// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	libsigner "github.com/cert-manager/issuer-lib/controllers/signer"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// unusedCallbacks are issuer-lib's callbacks with nothing to do: sign has decided already, and
// never returns the errors that some of them belong to.
type unusedCallbacks struct{}

// IsFailed is covered by IsReady.
func (unusedCallbacks) IsFailed() bool { return false }

// SetIssued gets what sign returned.
func (unusedCallbacks) SetIssued(libsigner.PEMBundle) {}

// SetRetryableError gets what sign returned.
func (unusedCallbacks) SetRetryableError(error) {}

// SetUnexpectedError gets what Reconcile returns.
func (unusedCallbacks) SetUnexpectedError(error) {}

// SetPermanentError is never called.
func (unusedCallbacks) SetPermanentError(error) {}

// SetPending is never called.
func (unusedCallbacks) SetPending(string) {}

// SetCustomCondition is never called.
func (unusedCallbacks) SetCustomCondition(string, metav1.ConditionStatus, string, string) bool {
	return false
}
