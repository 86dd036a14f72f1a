// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package x509 has tests only: certificates of package signer in every
// combination of key, usages, kind, subject and option, verified by Go, linted
// by zlint and verified by the openssl command.
//
// It lives in this module because nothing but a test needs zlint: users of the
// issuer vet the main module's requirements.
package x509
