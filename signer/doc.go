// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package signer creates self-signed certificates from a certificate request, its
// private key, the issuer's options and the time. It has no client, no clock and
// no state.
//
// cert-manager's pkg/util/pki decides what a certificate takes from its request, as
// in cert-manager's SelfSigned issuer. SelfSign lists what this package adds.
package signer
