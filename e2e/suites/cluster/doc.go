// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package cluster installs, uses, updates and removes the image in a cluster with nodes, while
// other suites run processes. `make test-cluster` runs it on the cluster of KUBECONFIG. Its files
// have the build tag clustertest, so that `go test ./...` does not run it.
package cluster
