// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package signer

import "fmt"

// Reason classifies an Error.
type Reason string

const (
	// ReasonMalformedRequest means that no issuer can sign the request.
	ReasonMalformedRequest Reason = "MalformedRequest"
	// ReasonUnusableKey means that the data is not a supported private key.
	ReasonUnusableKey Reason = "UnusableKey"
	// ReasonKeyMismatch means that the private key does not match the request.
	ReasonKeyMismatch Reason = "KeyMismatch"
	// ReasonEmptySubject means that the request has no subject and the issuer rejects this.
	ReasonEmptySubject Reason = "EmptySubject"
	// ReasonSignatureAlgorithm means that the issuer's signature algorithm cannot be used
	// with the request.
	ReasonSignatureAlgorithm Reason = "SignatureAlgorithm"
	// ReasonSigning means that crypto/x509 rejected the certificate.
	ReasonSigning Reason = "Signing"
)

// Error is the type of all errors of this package. It is permanent: the same input
// fails again. Its text continues a sentence, names the field and the remedy, and
// never contains bytes of a private key.
type Error struct {
	Reason Reason
	text   string
}

func (e *Error) Error() string { return e.text }

func newError(reason Reason, format string, args ...any) *Error {
	return &Error{Reason: reason, text: fmt.Sprintf(format, args...)}
}
