// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package cluster installs the built image from deploy/ into a cluster with real nodes,
// uses it, updates it and removes it: what the other suites cannot do, which run the program
// as a process. `make test-cluster` runs it, against the cluster that KUBECONFIG names; its
// files have the build tag clustertest, so that `go test ./...` leaves it out.
package cluster
