// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package certmanager installs and runs cert-manager in a test cluster.
//
// Everything comes from the Go module that e2e/versions/certmanager pins: the CRDs; RBAC,
// ServiceAccounts and webhook configurations from the Helm chart with default values; the
// controllers and the webhook as one program that is built from source. They use the
// ServiceAccounts of the chart, so cert-manager has the same permissions as in a user's cluster.
package certmanager
