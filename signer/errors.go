// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package signer

import "fmt"

// Reason classifies an Error.
type Reason string

const (
	// ReasonMalformedRequest means: the certificate request cannot be turned into a
	// certificate, by any issuer.
	ReasonMalformedRequest Reason = "MalformedRequest"
	// ReasonUnusableKey means: the data is not a private key that certificates can be
	// signed with.
	ReasonUnusableKey Reason = "UnusableKey"
	// ReasonKeyMismatch means: the private key is not the one of the request.
	ReasonKeyMismatch Reason = "KeyMismatch"
	// ReasonEmptySubject means: the request has no subject and the issuer rejects that.
	ReasonEmptySubject Reason = "EmptySubject"
	// ReasonSignatureAlgorithm means: the issuer's signature algorithm cannot be used
	// with the key of the request.
	ReasonSignatureAlgorithm Reason = "SignatureAlgorithm"
	// ReasonSigning means: crypto/x509 refused to make the certificate.
	ReasonSigning Reason = "Signing"
)

// Error is what every function of this package fails with. It is final: the
// same input fails again. Its text continues a sentence, names the field at
// fault and what to do about it, and never contains a byte of a private key.
type Error struct {
	Reason Reason
	text   string
}

func (e *Error) Error() string { return e.text }

func newError(reason Reason, format string, args ...any) *Error {
	return &Error{Reason: reason, text: fmt.Sprintf(format, args...)}
}
