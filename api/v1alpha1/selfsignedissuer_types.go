// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	issuerapi "github.com/cert-manager/issuer-lib/api/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// SelfSignedIssuer signs each certificate with its own private key, for requests
// in its own namespace.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=selfsignedissuers,scope=Namespaced,shortName=ssi,categories=cert-manager
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Status",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type SelfSignedIssuer struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec defines how the issuer signs certificates. With an empty spec,
	// certificates are the same as those of cert-manager's built-in SelfSigned
	// issuer.
	// +optional
	Spec SelfSignedIssuerSpec `json:"spec,omitzero"`

	// status reports whether the issuer is ready to sign certificates. It is set by
	// selfsigned-issuer.
	// +optional
	// +default={}
	Status SelfSignedIssuerStatus `json:"status,omitzero"`
}

// SelfSignedIssuerList is a list of SelfSignedIssuers.
//
// +kubebuilder:object:root=true
type SelfSignedIssuerList struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard list metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`

	// items are the issuers.
	Items []SelfSignedIssuer `json:"items"`
}

// GetConditions returns the conditions of the issuer's status.
func (i *SelfSignedIssuer) GetConditions() []metav1.Condition {
	return i.Status.Conditions
}

// GetIssuerTypeIdentifier returns the part of a Kubernetes
// CertificateSigningRequest's spec.signerName that stands before the slash.
func (i *SelfSignedIssuer) GetIssuerTypeIdentifier() string {
	return "selfsignedissuers." + GroupName
}

var _ issuerapi.Issuer = &SelfSignedIssuer{}
