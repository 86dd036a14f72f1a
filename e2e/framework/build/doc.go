// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package build builds the programs of a control plane, and selfsigned-issuer, with `go build` and
// the module proxy.
//
// Programs of pinned modules are stored outside of the repository, in directories named after a
// hash of their sources, so that they are built once. Environment variables:
//
//   - SELFSIGNED_ISSUER_CACHE: the cache directory, an absolute path, instead of
//     ${XDG_CACHE_HOME:-$HOME/.cache}/selfsigned-issuer.
//   - KUBEBUILDER_ASSETS: a directory with etcd, kube-apiserver and kubectl, as setup-envtest
//     provides it. They are used instead of built.
package build
