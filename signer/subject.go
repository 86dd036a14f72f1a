// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package signer

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"

	"github.com/cert-manager/cert-manager/pkg/util/pki"
)

var oidSubjectAltName = asn1.ObjectIdentifier{2, 5, 29, 17}

// applySubject applies the policy for empty subjects to a template that has
// its key identifier already.
func applySubject(template *x509.Certificate, policy EmptySubject) error {
	if !emptyName(template.RawSubject) {
		return nil
	}
	switch policy {
	case EmptySubjectReject:
		return newError(ReasonEmptySubject, "the subject is empty, which the issuer's spec.emptySubject rejects: set spec.commonName, spec.subject or spec.literalSubject of the Certificate")
	case EmptySubjectFill:
		return fillSubject(template)
	default: // EmptySubjectWarn
		return nil
	}
}

// fillSubject names the certificate after its key: the name says nothing about
// a host that nobody vouched for, fits every key, and survives renewal.
func fillSubject(template *x509.Certificate) error {
	name := pkix.Name{SerialNumber: hex.EncodeToString(template.SubjectKeyId)}
	raw, err := pki.MarshalRDNSequenceToRawDERBytes(name.ToRDNSequence())
	if err != nil {
		return newError(ReasonSigning, "the subject cannot be encoded: %s", err)
	}
	template.Subject, template.RawSubject = name, raw

	// RFC 5280 section 4.2.1.6: critical only as long as the subject was empty.
	for i := range template.ExtraExtensions {
		if template.ExtraExtensions[i].Id.Equal(oidSubjectAltName) {
			template.ExtraExtensions[i].Critical = false
		}
	}
	return nil
}

// attribute leaves the value of an AttributeTypeAndValue (RFC 5280 section
// 4.1.2.4) undecoded: encoding/asn1 knows only some of its string types.
type attribute struct {
	Type  asn1.ObjectIdentifier
	Value asn1.RawValue
}

// relativeNameSET is a RelativeDistinguishedName; the suffix makes
// encoding/asn1 take it for a SET.
type relativeNameSET []attribute

// emptyName reports whether a DER-encoded Name names nothing. As for
// cert-manager, attributes with an empty value count for nothing.
func emptyName(der []byte) bool {
	var name []relativeNameSET
	if _, err := asn1.Unmarshal(der, &name); err != nil {
		return false // crypto/x509 has parsed it: it is something
	}
	for _, relative := range name {
		for _, attribute := range relative {
			if len(attribute.Value.Bytes) > 0 {
				return false
			}
		}
	}
	return true
}
