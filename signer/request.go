// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package signer

import (
	"crypto"
	"crypto/x509"
	"time"

	"github.com/cert-manager/cert-manager/pkg/util/pki"
)

// Request is what a CertificateRequest or CertificateSigningRequest asks for.
type Request struct {
	CSR         []byte        // one PEM-encoded PKCS #10 request (RFC 2986, RFC 7468)
	Duration    time.Duration // from signing to notAfter, at least a second
	IsCA        bool
	KeyUsage    x509.KeyUsage
	ExtKeyUsage []x509.ExtKeyUsage
}

// Candidate is a request that has been found consistent. It does not change:
// it can be signed any number of times, also at the same time.
type Candidate struct {
	csr        *x509.CertificateRequest
	template   *x509.Certificate
	duration   time.Duration
	pathLength *int // the path length constraint in the CSR; pki drops it from the template
}

// Parse reads a request and verifies that its CSR is signed with the key it
// carries and agrees with the other fields. It fails with
// ReasonMalformedRequest, in bounded time and memory whatever the input:
// cert-manager's limit for the size of a CSR holds.
func Parse(r Request) (*Candidate, error) {
	if r.Duration < time.Second {
		return nil, failure(ReasonMalformedRequest, "the requested duration is %s: ask for at least 1s", r.Duration)
	}
	csr, err := parseCSR(r.CSR)
	if err != nil {
		return nil, err
	}
	template, err := pki.CertificateTemplateFromCSR(csr,
		pki.CertificateTemplateValidateAndOverrideBasicConstraints(r.IsCA, nil),
		pki.CertificateTemplateValidateAndOverrideKeyUsages(r.KeyUsage, r.ExtKeyUsage),
	)
	if err != nil {
		return nil, failure(ReasonMalformedRequest, "spec.request is inconsistent or does not agree with the rest of the spec: %s", err)
	}
	return &Candidate{csr: csr, template: template, duration: r.Duration, pathLength: pathLength(csr)}, nil
}

// parseCSR looks at the key before it verifies the signature: the time that
// verification takes grows with the square of the key's size.
func parseCSR(data []byte) (*x509.CertificateRequest, error) {
	csr, err := pki.DecodeX509CertificateRequestBytes(data)
	if err != nil {
		return nil, failure(ReasonMalformedRequest, "spec.request is not a PEM-encoded certificate request: %s", err)
	}
	if problem := unsupported(csr.PublicKey); problem != "" {
		return nil, failure(ReasonMalformedRequest, "spec.request is for %s", problem)
	}
	if err := csr.CheckSignature(); err != nil {
		return nil, failure(ReasonMalformedRequest, "the signature of spec.request does not verify with the public key in it: %s", err)
	}
	return csr, nil
}

// pathLength returns the path length constraint of a CSR. The extension has
// been parsed before, so that it cannot fail any more.
func pathLength(csr *x509.CertificateRequest) *int {
	for _, extension := range csr.Extensions {
		if extension.Id.Equal(pki.OIDExtensionBasicConstraints) {
			_, length, _ := pki.UnmarshalBasicConstraints(extension.Value)
			return length
		}
	}
	return nil
}

// HasKey reports whether a public key is the one of the request.
func (c *Candidate) HasKey(key crypto.PublicKey) bool {
	equal, err := pki.PublicKeysEqual(c.csr.PublicKey, key)
	return err == nil && equal
}
