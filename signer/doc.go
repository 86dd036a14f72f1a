// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package signer makes self-signed certificates: a certificate request, the
// private key that belongs to it, the issuer's settings and the time in, a
// certificate out. It holds no client, no clock and no state.
//
// What a certificate takes over from its request, and how, is decided by
// cert-manager's pkg/util/pki, so that it is what cert-manager's own SelfSigned
// issuer would take over. What this package adds is listed at SelfSign.
package signer
