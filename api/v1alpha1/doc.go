// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package v1alpha1 is the API of selfsigned-issuer: the namespaced
// SelfSignedIssuer and the cluster-wide ClusterSelfSignedIssuer, which share
// one spec.
//
// +kubebuilder:object:generate=true
// +groupName=selfsigned.cert-manager.io
package v1alpha1
