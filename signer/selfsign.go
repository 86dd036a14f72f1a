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

// Result is a certificate and what its requester should know about it.
type Result struct {
	// PEM is the certificate, one PEM block.
	PEM []byte
	// EmptySubject tells that the certificate has neither subject nor issuer,
	// against RFC 5280 section 4.1.2.4.
	EmptySubject bool
	// Notes are sentences about what differs from what was asked for.
	Warnings []string
}

// SelfSign signs a request with its own key. The certificate is what
// cert-manager's SelfSigned issuer makes of the same request: it takes over the
// subject and the subject alternative names byte by byte, key usages, extended
// key usages, whether it is a CA, and name constraints; it drops every other
// extension of the request. In addition:
//
//   - it always has a subject key identifier, and an equal authority key
//     identifier (RFC 5280 sections 4.2.1.1 and 4.2.1.2);
//   - what the options ask for, where they are not zero.
//
// Its serial number has 159 random bits (RFC 5280 section 4.1.2.2). It fails
// with any Reason except ReasonMalformedRequest and ReasonUnusableKey.
func SelfSign(c *ParsedRequest, key crypto.Signer, o Options, now time.Time) (Result, error) {
	if !c.HasKey(key.Public()) {
		return Result{}, newError(ReasonKeyMismatch, "the private key is not the one of the request")
	}
	template, warnings, err := c.certificate(o, now)
	if err != nil {
		return Result{}, err
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, template.PublicKey, key)
	if err != nil {
		return Result{}, newError(ReasonSigning, "the certificate cannot be made: %s", err)
	}
	// Requests are parsed more leniently than certificates are. What cert-manager
	// cannot read it would request again, without end.
	if _, err := x509.ParseCertificate(der); err != nil {
		return Result{}, newError(ReasonSigning, "the certificate would be malformed: %s", err)
	}
	return Result{
		PEM:          pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		EmptySubject: emptyName(template.RawSubject),
		Warnings:     warnings,
	}, nil
}

// certificate returns the complete template, and warnings for the Result.
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
	// Given here because crypto/x509 leaves it out when subject and issuer are equal.
	template.AuthorityKeyId = template.SubjectKeyId
	if err := applySubject(&template, o.EmptySubject); err != nil {
		return nil, nil, err
	}
	warnings := c.signatureWarnings(template.SignatureAlgorithm)
	warnings = append(warnings, c.applyValidity(&template, o.Backdate, now)...)
	warnings = append(warnings, c.applyPathLength(&template, o.MaxPathLength)...)
	return &template, warnings, nil
}

// backdateShare is the part of the requested duration that backdating may use.
//
// cert-manager renews a certificate at notAfter - (notAfter-notBefore)*p/100,
// with p (spec.renewBeforePercentage) from 1 to 99. Signed for the duration d and
// backdated by b, a certificate is renewed d*(100-p)/100 - b*p/100 after signing.
// Admission makes the first term five minutes at least. With b of d/200 at most,
// the second term is 99/200 of the first one at most: the certificate is kept for
// more than half of the time that it is kept without backdating. A hundredth of d
// would leave 3 seconds of five minutes. spec.renewBefore does not depend on b.
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

// applyPathLength sets the path length constraint where RFC 5280 section
// 4.2.1.9 allows it: in CA certificates whose key may sign certificates.
func (c *ParsedRequest) applyPathLength(template *x509.Certificate, limit *int) []string {
	switch {
	case !template.IsCA:
		return nil
	case limit == nil && c.pathLength == nil:
		return nil
	case limit == nil:
		return []string{fmt.Sprintf(
			"The path length constraint of %d in the request is not in the certificate, as cert-manager does it: it takes effect with an issuer that has spec.maxPathLength.",
			*c.pathLength)}
	case template.KeyUsage&x509.KeyUsageCertSign == 0:
		return []string{"The issuer's spec.maxPathLength is not in the certificate, because its key usages lack \"cert sign\"."}
	}
	template.MaxPathLen = *limit
	if c.pathLength != nil {
		template.MaxPathLen = min(*limit, *c.pathLength)
	}
	template.MaxPathLenZero = template.MaxPathLen == 0
	return nil
}
