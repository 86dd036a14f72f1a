// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package signer

import "cmp"

// The defaults of Limits are cert-manager's.
const (
	DefaultMaxCertificateSize = 36500
	DefaultMaxPrivateKeySize  = 13000
)

// Limits are the maximum sizes of PEM data, in bytes. The zero value has the
// defaults. cert-manager has its limits in a package that cannot be imported,
// so they are enforced here.
type Limits struct {
	// MaxCertificateSize is the limit for a CSR, as in cert-manager: a CSR is about
	// as large as its certificate.
	MaxCertificateSize int
	// MaxPrivateKeySize is the limit for a private key with all data around it.
	MaxPrivateKeySize int
}

func (l Limits) checkCSR(data []byte) error {
	if limit := cmp.Or(l.MaxCertificateSize, DefaultMaxCertificateSize); len(data) > limit {
		return newError(ReasonMalformedRequest, "spec.request has %d bytes, more than the limit of %d: request fewer names, or increase --max-certificate-size of selfsigned-issuer", len(data), limit)
	}
	return nil
}

func (l Limits) checkPrivateKey(data []byte) error {
	if limit := cmp.Or(l.MaxPrivateKeySize, DefaultMaxPrivateKeySize); len(data) > limit {
		return unusableKey("it has %d bytes, more than the limit of %d: store only the private key, or increase --max-private-key-size of selfsigned-issuer", len(data), limit)
	}
	return nil
}
