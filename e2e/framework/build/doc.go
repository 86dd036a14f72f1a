// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package build builds the programs of a real control plane, and this project's own,
// with nothing but `go build` and the module proxy.
//
// Programs of pinned modules are kept outside the repository under a name that holds a
// hash of everything they are made from, so that they are built once. The environment
// variables it honours:
//
//   - SELFSIGNED_ISSUER_CACHE: the cache directory, an absolute path, instead of
//     ${XDG_CACHE_HOME:-$HOME/.cache}/selfsigned-issuer.
//   - KUBEBUILDER_ASSETS: a directory with etcd, kube-apiserver and kubectl, as setup-envtest
//     makes it, which are then used instead of built.
package build
