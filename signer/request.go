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

// Request is the content of a CertificateRequest or CertificateSigningRequest.
type Request struct {
	CSR         []byte        // one PEM-encoded PKCS #10 request (RFC 2986, RFC 7468)
	Duration    time.Duration // from signing to notAfter, at least a second
	IsCA        bool
	KeyUsage    x509.KeyUsage
	ExtKeyUsage []x509.ExtKeyUsage

	// FromCertificate is true if cert-manager created the CSR for a Certificate. Then
	// the CSR is signed with the algorithm of the Certificate or cert-manager's default,
	// otherwise with the default of another tool.
	FromCertificate bool
}

// ParsedRequest is a valid request. It is immutable, so it can be signed repeatedly
// and concurrently.
type ParsedRequest struct {
	csr        *x509.CertificateRequest
	template   *x509.Certificate
	duration   time.Duration
	pathLength *int // the path length constraint in the CSR, which pki ignores

	fromCertificate bool
}

// maxExtKeyUsages is more than there are names of usages. The API does not limit
// repetitions, and each of them would be in the certificate.
const maxExtKeyUsages = 64

// Parse reads a request. It verifies the signature of the CSR, and that the CSR
// matches the other fields. Errors have ReasonMalformedRequest. Time and memory are
// bounded for any input.
func Parse(r Request, limits Limits) (*ParsedRequest, error) {
	if r.Duration < time.Second {
		return nil, newError(ReasonMalformedRequest, "the requested duration is %s: request at least 1s", r.Duration)
	}
	csr, err := parseCSR(r.CSR, limits)
	if err != nil {
		return nil, err
	}
	if err := checkExtKeyUsages(csr, r.ExtKeyUsage); err != nil {
		return nil, err
	}
	if len(r.ExtKeyUsage) > maxExtKeyUsages {
		return nil, newError(ReasonMalformedRequest, "spec.usages has %d extended key usages, more than the limit of %d: list each usage once", len(r.ExtKeyUsage), maxExtKeyUsages)
	}
	template, err := pki.CertificateTemplateFromCSR(csr,
		pki.CertificateTemplateValidateAndOverrideBasicConstraints(r.IsCA, nil),
		pki.CertificateTemplateValidateAndOverrideKeyUsages(r.KeyUsage, r.ExtKeyUsage),
	)
	if err != nil {
		return nil, newError(ReasonMalformedRequest, "spec.request is inconsistent or does not match the rest of the spec: %s", err)
	}
	return &ParsedRequest{
		csr: csr, template: template, duration: r.Duration, pathLength: pathLength(csr), fromCertificate: r.FromCertificate,
	}, nil
}

// parseCSR checks the key before it verifies the signature: the time for this grows
// with the square of the key's size.
func parseCSR(data []byte, limits Limits) (*x509.CertificateRequest, error) {
	if err := limits.checkCSR(data); err != nil {
		return nil, err
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, newError(ReasonMalformedRequest, "spec.request is not a PEM-encoded certificate request: it contains no PEM block")
	}
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return nil, newError(ReasonMalformedRequest, "spec.request is not a PEM-encoded certificate request: %s", err)
	}
	if problem := unsupported(csr.PublicKey); problem != "" {
		return nil, newError(ReasonMalformedRequest, "spec.request contains %s", problem)
	}
	if err := csr.CheckSignature(); err != nil {
		return nil, newError(ReasonMalformedRequest, "the signature of spec.request does not match its public key: %s", err)
	}
	return csr, nil
}

// checkExtKeyUsages rejects extended key usages that the spec does not list, because
// approvers check the spec. pki compares only the usages that it knows, and rejects
// what cannot be decoded.
func checkExtKeyUsages(csr *x509.CertificateRequest, listed []x509.ExtKeyUsage) error {
	known, unknown, _ := pki.UnmarshalExtKeyUsage(extensionValue(csr, pki.OIDExtensionExtendedKeyUsage))
	var unlisted []string
	for _, usage := range known {
		if !slices.Contains(listed, usage) {
			oid, _ := pki.OIDFromExtKeyUsage(usage)
			unlisted = append(unlisted, oid.String())
		}
	}
	for _, oid := range unknown {
		unlisted = append(unlisted, oid.String())
	}
	if len(unlisted) == 0 {
		return nil
	}
	// The OIDs come last: there can be many, and the text can be truncated.
	return newError(ReasonMalformedRequest,
		"spec.request contains extended key usages that spec.usages does not list: add them to spec.usages if they have a name there, or remove them from spec.request: %s",
		strings.Join(unlisted, ", "))
}

// pathLength returns the path length constraint of a CSR. pki has parsed the
// extension before, so it has no errors.
func pathLength(csr *x509.CertificateRequest) *int {
	_, length, _ := pki.UnmarshalBasicConstraints(extensionValue(csr, pki.OIDExtensionBasicConstraints))
	return length
}

// extensionValue returns the value of an extension, or nil. A parsed CSR has no
// extension twice.
func extensionValue(csr *x509.CertificateRequest, oid asn1.ObjectIdentifier) []byte {
	for _, extension := range csr.Extensions {
		if extension.Id.Equal(oid) {
			return extension.Value
		}
	}
	return nil
}

// HasKey returns whether a public key is that of the request.
func (c *ParsedRequest) HasKey(key crypto.PublicKey) bool {
	equal, err := pki.PublicKeysEqual(c.csr.PublicKey, key)
	return err == nil && equal
}
