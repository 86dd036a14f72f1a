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

// derive returns the identifier of a public key. It depends only on the key, so a
// certificate that is renewed with the same key keeps its identifier, and leaf
// certificates that refer to it stay valid.
func (k KeyIdentifier) derive(key crypto.PublicKey) ([]byte, error) {
	bits, err := subjectPublicKey(key)
	if err != nil {
		return nil, newError(ReasonSigning, "the public key cannot be encoded: %s", err)
	}
	if k == KeyIdentifierSHA1 {
		var sum [sha1.Size]byte
		// An identifier, not a protection: FIPS 140-3 allows this.
		fips140.WithoutEnforcement(func() { sum = sha1.Sum(bits) }) //nolint:gosec // see the import
		return sum[:], nil
	}
	sum := sha256.Sum256(bits)
	return sum[:keyIdentifierSize], nil
}

// subjectPublicKey returns the content of the BIT STRING subjectPublicKey, from
// which identifiers are computed (RFC 5280 section 4.1).
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
