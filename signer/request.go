// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package signer

import (
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"slices"
	"strings"
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

	// FromCertificate is true if cert-manager made the CSR for a Certificate: then the
	// algorithm that signed the CSR is the Certificate's choice, or cert-manager's
	// default. Elsewhere it is what some tool does by default.
	FromCertificate bool
}

// ParsedRequest is a request that has been found consistent. It does not change:
// it can be signed any number of times, also at the same time.
type ParsedRequest struct {
	csr        *x509.CertificateRequest
	template   *x509.Certificate
	duration   time.Duration
	pathLength *int // the path length constraint in the CSR; pki drops it from the template

	fromCertificate bool
}

// maxExtKeyUsages is far above the number of usages that have a name. The API does not limit how
// often one is repeated, and each repetition would be in the certificate.
const maxExtKeyUsages = 64

// Parse reads a request and verifies that its CSR is signed with the key it
// carries and agrees with the other fields. It fails with
// ReasonMalformedRequest, in bounded time and memory whatever the input.
func Parse(r Request, limits Limits) (*ParsedRequest, error) {
	if r.Duration < time.Second {
		return nil, newError(ReasonMalformedRequest, "the requested duration is %s: ask for at least 1s", r.Duration)
	}
	csr, err := parseCSR(r.CSR, limits)
	if err != nil {
		return nil, err
	}
	if err := checkExtKeyUsages(csr, r.ExtKeyUsage); err != nil {
		return nil, err
	}
	if len(r.ExtKeyUsage) > maxExtKeyUsages {
		return nil, newError(ReasonMalformedRequest, "spec.usages has %d extended key usages, and the limit is %d: name each usage once", len(r.ExtKeyUsage), maxExtKeyUsages)
	}
	template, err := pki.CertificateTemplateFromCSR(csr,
		pki.CertificateTemplateValidateAndOverrideBasicConstraints(r.IsCA, nil),
		pki.CertificateTemplateValidateAndOverrideKeyUsages(r.KeyUsage, r.ExtKeyUsage),
	)
	if err != nil {
		return nil, newError(ReasonMalformedRequest, "spec.request is inconsistent or does not agree with the rest of the spec: %s", err)
	}
	return &ParsedRequest{
		csr: csr, template: template, duration: r.Duration, pathLength: pathLength(csr), fromCertificate: r.FromCertificate,
	}, nil
}

// parseCSR looks at the key before it verifies the signature: the time that
// verification takes grows with the square of the key's size.
func parseCSR(data []byte, limits Limits) (*x509.CertificateRequest, error) {
	if err := limits.checkCSR(data); err != nil {
		return nil, err
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, newError(ReasonMalformedRequest, "spec.request is not a PEM-encoded certificate request: no PEM data was found")
	}
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return nil, newError(ReasonMalformedRequest, "spec.request is not a PEM-encoded certificate request: %s", err)
	}
	if problem := unsupported(csr.PublicKey); problem != "" {
		return nil, newError(ReasonMalformedRequest, "spec.request is for %s", problem)
	}
	if err := csr.CheckSignature(); err != nil {
		return nil, newError(ReasonMalformedRequest, "the signature of spec.request does not verify with the public key in it: %s", err)
	}
	return csr, nil
}

// checkExtKeyUsages refuses extended key usages that the spec does not name: who
// approves a request judges by the spec. pki compares those that it knows and signs
// all others. What cannot be decoded is left for pki to refuse.
func checkExtKeyUsages(csr *x509.CertificateRequest, named []x509.ExtKeyUsage) error {
	known, unknown, _ := pki.UnmarshalExtKeyUsage(extensionValue(csr, pki.OIDExtensionExtendedKeyUsage))
	var unnamed []string
	for _, usage := range known {
		if !slices.Contains(named, usage) {
			oid, _ := pki.OIDFromExtKeyUsage(usage)
			unnamed = append(unnamed, oid.String())
		}
	}
	for _, oid := range unknown {
		unnamed = append(unnamed, oid.String())
	}
	if len(unnamed) == 0 {
		return nil
	}
	// The OIDs come last: there can be many, and the text can be cut off.
	return newError(ReasonMalformedRequest,
		"spec.request asks for extended key usages that spec.usages does not name: add them to spec.usages if it has names for them, or remove them from spec.request: %s",
		strings.Join(unnamed, ", "))
}

// pathLength returns the path length constraint of a CSR. The extension has
// been parsed before, so that it cannot fail any more.
func pathLength(csr *x509.CertificateRequest) *int {
	_, length, _ := pki.UnmarshalBasicConstraints(extensionValue(csr, pki.OIDExtensionBasicConstraints))
	return length
}

// extensionValue returns the value of an extension, or nil. No extension occurs
// twice in a CSR that was parsed.
func extensionValue(csr *x509.CertificateRequest, oid asn1.ObjectIdentifier) []byte {
	for _, extension := range csr.Extensions {
		if extension.Id.Equal(oid) {
			return extension.Value
		}
	}
	return nil
}

// HasKey reports whether a public key is the one of the request.
func (c *ParsedRequest) HasKey(key crypto.PublicKey) bool {
	equal, err := pki.PublicKeysEqual(c.csr.PublicKey, key)
	return err == nil && equal
}
