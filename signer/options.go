// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package signer

import "time"

// Options are the settings of an issuer. The zero value signs as cert-manager's
// own SelfSigned issuer does, apart from what SelfSign lists. Only valid options may be passed:
// their rules are those of the API, and are not checked again here.
type Options struct {
	// CRLDistributionPoints are absolute URIs in ASCII. Each becomes a
	// DistributionPoint of its own, in this order (RFC 5280 section 4.2.1.13).
	CRLDistributionPoints []string

	// EmptySubject says what becomes of a request without a subject.
	EmptySubject EmptySubject

	// SignatureAlgorithm names the algorithm to sign with, or how to choose it.
	SignatureAlgorithm SignatureAlgorithm

	// MaxPathLength is the path length constraint of CA certificates (RFC 5280
	// section 4.2.1.9). Nil leaves the constraint out, as cert-manager does.
	MaxPathLength *int

	// Backdate is how long before now notBefore lies, at most 0.5 percent
	// of the requested duration.
	Backdate time.Duration

	// SubjectKeyIdentifier is how the key identifier is derived.
	SubjectKeyIdentifier KeyIdentifier
}

// EmptySubject says what becomes of a request without a subject.
type EmptySubject string

const (
	// EmptySubjectWarn signs it; Result.EmptySubject tells. So does the zero value.
	EmptySubjectWarn EmptySubject = "Warn"
	// EmptySubjectReject fails with ReasonEmptySubject.
	EmptySubjectReject EmptySubject = "Reject"
	// EmptySubjectFill gives the certificate a subject made from its key.
	EmptySubjectFill EmptySubject = "Fill"
)

// KeyIdentifier is a way to derive a key identifier from a public key.
type KeyIdentifier string

const (
	// KeyIdentifierSHA256 is method 1 of RFC 7093 section 2. So is the zero value.
	KeyIdentifierSHA256 KeyIdentifier = "SHA256"
	// KeyIdentifierSHA1 is method 1 of RFC 5280 section 4.2.1.2.
	KeyIdentifierSHA1 KeyIdentifier = "SHA1"
)

// SignatureAlgorithm is the name of an algorithm, as in cert-manager's
// Certificate API and in crypto/x509, or one of the two constants here.
type SignatureAlgorithm string

const (
	// SignatureAlgorithmFromKey chooses by type and size of the key, as
	// cert-manager does. So does the zero value.
	SignatureAlgorithmFromKey SignatureAlgorithm = "FromKey"
	// SignatureAlgorithmFromRequest takes the algorithm that signed the request.
	SignatureAlgorithmFromRequest SignatureAlgorithm = "FromRequest"
)
