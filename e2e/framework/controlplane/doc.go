// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package controlplane runs a real Kubernetes control plane, etcd and kube-apiserver and on
// demand kube-controller-manager, as child processes on loopback addresses, with RBAC on
// and its data in a temporary directory. Clusters do not disturb each other, and each of
// their processes can be killed, paused and restarted.
//
// If the environment variable SELFSIGNED_ISSUER_KEEP is not empty, Stop leaves the
// cluster's directory where it is.
package controlplane
