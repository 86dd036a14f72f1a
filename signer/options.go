// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package signer

import "time"

// Options are the settings of an issuer. The zero value signs like cert-manager's
// SelfSigned issuer, apart from what SelfSign lists. Options must be valid: the API
// has their rules, and they are not checked again here.
type Options struct {
	// CRLDistributionPoints are absolute URIs in ASCII. Each becomes a separate
	// DistributionPoint, in this order (RFC 5280 section 4.2.1.13).
	CRLDistributionPoints []string

	// EmptySubject is what happens to a request without a subject.
	EmptySubject EmptySubject

	// SignatureAlgorithm is the algorithm to sign with, or how to choose it.
	SignatureAlgorithm SignatureAlgorithm

	// MaxPathLength is the path length constraint of CA certificates (RFC 5280
	// section 4.2.1.9). Nil omits the constraint, as cert-manager does.
	MaxPathLength *int

	// Backdate is how far before the signing time notBefore is set, at most 0.5
	// percent of the requested duration.
	Backdate time.Duration

	// SubjectKeyIdentifier is how the key identifier is derived.
	SubjectKeyIdentifier KeyIdentifier
}

// EmptySubject is what happens to a request without a subject.
type EmptySubject string

const (
	// EmptySubjectWarn signs it and sets Result.EmptySubject. This is the default.
	EmptySubjectWarn EmptySubject = "Warn"
	// EmptySubjectReject fails with ReasonEmptySubject.
	EmptySubjectReject EmptySubject = "Reject"
	// EmptySubjectFill derives the subject of the certificate from its key.
	EmptySubjectFill EmptySubject = "Fill"
)

// KeyIdentifier is a way to derive a key identifier from a public key.
type KeyIdentifier string

const (
	// KeyIdentifierSHA256 is method 1 of RFC 7093 section 2. This is the default.
	KeyIdentifierSHA256 KeyIdentifier = "SHA256"
	// KeyIdentifierSHA1 is method 1 of RFC 5280 section 4.2.1.2.
	KeyIdentifierSHA1 KeyIdentifier = "SHA1"
)

// SignatureAlgorithm is the name of an algorithm, as in cert-manager's
// Certificate API and in crypto/x509, or one of the following constants.
type SignatureAlgorithm string

const (
	// SignatureAlgorithmFromKey chooses by type and size of the key, as
	// cert-manager does. This is the default.
	SignatureAlgorithmFromKey SignatureAlgorithm = "FromKey"
	// SignatureAlgorithmFromRequest uses the algorithm that the request is signed with.
	SignatureAlgorithmFromRequest SignatureAlgorithm = "FromRequest"
)
