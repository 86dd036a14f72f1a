// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package certmanager installs the real cert-manager into a test cluster and runs it there.
//
// Everything comes from the Go module that e2e/versions/certmanager pins: the CRDs as they
// are, RBAC, ServiceAccounts and webhook configurations from the Helm chart's templates with
// their default values, and the controllers and the webhook as one program that is built
// from source. They run under the ServiceAccounts that the chart creates, so that what
// cert-manager may do here is what it may do in a user's cluster.
package certmanager
