// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package signer

import (
	"crypto"
	"crypto/fips140"
	"crypto/sha1" //nolint:gosec // an identifier, not a signature: RFC 5280 names SHA-1
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
)

// keyIdentifierSize is the length in bytes of both kinds of identifier.
const keyIdentifierSize = 160 / 8

// derive returns the identifier of a public key. It depends on nothing but the
// key, so that a certificate renewed with the same key keeps it, and with it
// every certificate that names it as its authority.
func (k KeyIdentifier) derive(key crypto.PublicKey) ([]byte, error) {
	bits, err := subjectPublicKey(key)
	if err != nil {
		return nil, newError(ReasonSigning, "the public key cannot be encoded: %s", err)
	}
	if k == KeyIdentifierSHA1 {
		var sum [sha1.Size]byte
		// A name for the key, which protects nothing: FIPS 140-3 does not forbid that.
		fips140.WithoutEnforcement(func() { sum = sha1.Sum(bits) }) //nolint:gosec // see the import
		return sum[:], nil
	}
	sum := sha256.Sum256(bits)
	return sum[:keyIdentifierSize], nil
}

// subjectPublicKey returns the content of the BIT STRING of that name, which is
// what identifiers are computed from (RFC 5280 section 4.1).
func subjectPublicKey(key crypto.PublicKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return nil, err
	}
	var info struct {
		Algorithm pkix.AlgorithmIdentifier
		Key       asn1.BitString
	}
	if _, err := asn1.Unmarshal(der, &info); err != nil {
		return nil, err
	}
	return info.Key.Bytes, nil
}
