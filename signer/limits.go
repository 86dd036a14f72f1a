// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package signer

import "cmp"

// The defaults of Limits are cert-manager's.
const (
	DefaultMaxCertificateSize = 36500
	DefaultMaxPrivateKeySize  = 13000
)

// Limits are the sizes in bytes up to which PEM data is decoded. The zero value
// has the defaults. cert-manager keeps its own limits in a package that cannot be
// imported, so that they are enforced here.
type Limits struct {
	// MaxCertificateSize is the limit for a CSR: as for cert-manager, a CSR is about
	// as large as the certificate.
	MaxCertificateSize int
	// MaxPrivateKeySize is the limit for a private key and what is beside it.
	MaxPrivateKeySize int
}

func (l Limits) checkCSR(data []byte) error {
	if limit := cmp.Or(l.MaxCertificateSize, DefaultMaxCertificateSize); len(data) > limit {
		return newError(ReasonMalformedRequest, "spec.request is %d bytes long, and the limit is %d: ask for fewer names, or raise --max-certificate-size of selfsigned-issuer", len(data), limit)
	}
	return nil
}

func (l Limits) checkPrivateKey(data []byte) error {
	if limit := cmp.Or(l.MaxPrivateKeySize, DefaultMaxPrivateKeySize); len(data) > limit {
		return unusableKey("it is %d bytes long, and the limit is %d: store only the private key, or raise --max-private-key-size of selfsigned-issuer", len(data), limit)
	}
	return nil
}
