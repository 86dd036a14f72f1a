// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package controlplane runs etcd, kube-apiserver and optionally kube-controller-manager as child
// processes on loopback addresses, with RBAC and with data in a temporary directory. Several
// clusters can run at the same time, and each process can be killed, paused and restarted.
//
// If the environment variable SELFSIGNED_ISSUER_KEEP is not empty, Stop keeps the cluster's directory.
package controlplane
