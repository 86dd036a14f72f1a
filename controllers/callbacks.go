// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	libsigner "github.com/cert-manager/issuer-lib/controllers/signer"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// unusedCallbacks are issuer-lib's callbacks that do nothing, because sign has decided already.
type unusedCallbacks struct{}

// IsFailed is covered by IsReady.
func (unusedCallbacks) IsFailed() bool { return false }

// SetIssued is called after sign.
func (unusedCallbacks) SetIssued(libsigner.PEMBundle) {}

// SetRetryableError is called after sign.
func (unusedCallbacks) SetRetryableError(error) {}

// SetUnexpectedError is called for API server errors, which Reconcile returns.
func (unusedCallbacks) SetUnexpectedError(error) {}

// SetPermanentError is never called.
func (unusedCallbacks) SetPermanentError(error) {}

// SetPending is never called.
func (unusedCallbacks) SetPending(string) {}

// SetCustomCondition is never called.
func (unusedCallbacks) SetCustomCondition(string, metav1.ConditionStatus, string, string) bool {
	return false
}
