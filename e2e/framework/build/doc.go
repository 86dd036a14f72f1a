// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package build provides the programs of a control plane, cert-manager, trust-manager and
// selfsigned-issuer. The control plane is from KUBEBUILDER_ASSETS, from an earlier build, from
// setup-envtest, which verifies the checksum of a download, or built. Everything else is built with
// `go build` and the module proxy.
//
// Programs of pinned modules are stored outside of the repository, in directories named after a
// hash of their sources, so that they are built once. Environment variables:
//
//   - SELFSIGNED_ISSUER_CACHE: the cache directory, an absolute path, instead of
//     ${XDG_CACHE_HOME:-$HOME/.cache}/selfsigned-issuer.
//   - KUBERNETES and CERT_MANAGER: a minor version, such as v1.33, instead of that of go.mod.
//   - KUBEBUILDER_ASSETS: a directory with etcd, kube-apiserver and kubectl of the selected
//     minor version.
//   - ENVTEST_INSTALLED_ONLY: if set, setup-envtest downloads nothing.
package build
