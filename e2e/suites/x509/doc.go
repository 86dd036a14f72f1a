// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package x509 tests certificates of package signer in every combination of key, usages, kind,
// subject and option with Go, zlint and the openssl command.
//
// It is in this module because zlint must not be a requirement of the main module.
package x509
