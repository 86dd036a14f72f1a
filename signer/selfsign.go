// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package signer

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"slices"
	"time"
)

// Result is a certificate, with warnings about it.
type Result struct {
	// PEM is the certificate as one PEM block.
	PEM []byte
	// EmptySubject is true if the certificate has an empty subject and issuer, which
	// RFC 5280 section 4.1.2.4 forbids.
	EmptySubject bool
	// Warnings describe how the certificate differs from the request.
	Warnings []string
}

// SelfSign signs a request with its private key. The certificate is the same as from
// cert-manager's SelfSigned issuer: it has the subject and the subject alternative
// names of the request byte by byte, its key usages, extended key usages, CA flag
// and name constraints, and no other extension of the request. In addition, it has:
//
//   - a subject key identifier, and the same authority key identifier (RFC 5280
//     sections 4.2.1.1 and 4.2.1.2);
//   - what the options set.
//
// The serial number has 159 random bits (RFC 5280 section 4.1.2.2). Errors have any
// Reason except ReasonMalformedRequest and ReasonUnusableKey.
func SelfSign(c *ParsedRequest, key crypto.Signer, o Options, now time.Time) (Result, error) {
	if !c.HasKey(key.Public()) {
		return Result{}, newError(ReasonKeyMismatch, "the private key does not match the request")
	}
	template, warnings, err := c.certificate(o, now)
	if err != nil {
		return Result{}, err
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, template.PublicKey, key)
	if err != nil {
		return Result{}, newError(ReasonSigning, "the certificate cannot be created: %s", err)
	}
	// Requests are parsed less strictly than certificates. If cert-manager cannot read
	// a certificate, it creates new requests without end.
	if _, err := x509.ParseCertificate(der); err != nil {
		return Result{}, newError(ReasonSigning, "the certificate would be malformed: %s", err)
	}
	return Result{
		PEM:          pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		EmptySubject: emptyName(template.RawSubject),
		Warnings:     warnings,
	}, nil
}

// certificate returns the complete template, and the warnings of the Result.
func (c *ParsedRequest) certificate(o Options, now time.Time) (*x509.Certificate, []string, error) {
	template := *c.template
	template.ExtraExtensions = slices.Clone(template.ExtraExtensions)
	template.CRLDistributionPoints = o.CRLDistributionPoints

	var err error
	if template.SignatureAlgorithm, err = o.SignatureAlgorithm.choose(c.csr); err != nil {
		return nil, nil, err
	}
	if template.SubjectKeyId, err = o.SubjectKeyIdentifier.derive(template.PublicKey); err != nil {
		return nil, nil, err
	}
	// crypto/x509 omits it if subject and issuer are equal.
	template.AuthorityKeyId = template.SubjectKeyId
	if err := applySubject(&template, o.EmptySubject); err != nil {
		return nil, nil, err
	}
	warnings := c.signatureWarnings(template.SignatureAlgorithm)
	warnings = append(warnings, c.applyValidity(&template, o.Backdate, now)...)
	warnings = append(warnings, c.applyPathLength(&template, o.MaxPathLength)...)
	return &template, warnings, nil
}

// backdateShare is the divisor of the requested duration that limits backdating.
//
// cert-manager renews a certificate at notAfter - (notAfter-notBefore)*p/100,
// with p (spec.renewBeforePercentage) from 1 to 99. Signed for the duration d and
// backdated by b, a certificate is renewed d*(100-p)/100 - b*p/100 after signing.
// Admission ensures that the first term is at least five minutes. If b is at most
// d/200, the second term is at most 99/200 of the first: the certificate is used for
// more than half of the time without backdating. With d/100, only 3 seconds of five
// minutes would remain. spec.renewBefore does not depend on b.
const backdateShare = 200

// applyValidity sets the validity period. Backdating does not move notAfter.
func (c *ParsedRequest) applyValidity(template *x509.Certificate, backdate time.Duration, now time.Time) []string {
	used := min(backdate, (c.duration / backdateShare).Truncate(time.Second))
	template.NotBefore = now.Add(-used)
	template.NotAfter = now.Add(c.duration)
	if used == backdate {
		return nil
	}
	return []string{fmt.Sprintf(
		"The certificate is backdated by %s instead of the issuer's spec.backdate of %s, because backdating is limited to 0.5 percent of the requested duration (%s).",
		used, backdate, c.duration)}
}

// applyPathLength sets the path length constraint. RFC 5280 section 4.2.1.9 allows
// it only in CA certificates with the key usage "cert sign".
func (c *ParsedRequest) applyPathLength(template *x509.Certificate, limit *int) []string {
	switch {
	case !template.IsCA:
		return nil
	case limit == nil && c.pathLength == nil:
		return nil
	case limit == nil:
		return []string{fmt.Sprintf(
			"The request's path length constraint (%d) was ignored. To apply it, set spec.maxPathLength on the issuer.",
			*c.pathLength)}
	case template.KeyUsage&x509.KeyUsageCertSign == 0:
		return []string{"The issuer's spec.maxPathLength was ignored, because the certificate does not have the key usage \"cert sign\"."}
	}
	template.MaxPathLen = *limit
	if c.pathLength != nil {
		template.MaxPathLen = min(*limit, *c.pathLength)
	}
	template.MaxPathLenZero = template.MaxPathLen == 0
	return nil
}
