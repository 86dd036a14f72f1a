// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ConditionStalled is the type of a condition that is True if an issuer cannot
// become ready without a change of its spec. kstatus, which Flux, Helm and others
// use, then reports a failure.
const ConditionStalled = "Stalled"

// SelfSignedIssuerStatus reports whether an issuer is ready to sign certificates.
type SelfSignedIssuerStatus struct {
	// conditions has the condition Ready. It is Unknown until selfsigned-issuer has
	// checked the issuer. The condition Stalled is True if the issuer cannot become
	// ready without a change of its spec.
	//
	// +optional
	// +listType=map
	// +listMapKey=type
	// +default=[{"type":"Ready","status":"Unknown","reason":"Pending","message":"Waiting for selfsigned-issuer","lastTransitionTime":"1970-01-01T00:00:00Z"}]
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// observedGeneration is the metadata.generation of the issuer that
	// selfsigned-issuer has checked last.
	//
	// +optional
	// +kubebuilder:validation:Minimum=0
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
}
