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

// applySubject applies the policy for empty subjects. The template must have its key
// identifier.
func applySubject(template *x509.Certificate, policy EmptySubject) error {
	if !emptyName(template.RawSubject) {
		return nil
	}
	switch policy {
	case EmptySubjectReject:
		return newError(ReasonEmptySubject, "the subject is empty, and the issuer's spec.emptySubject is Reject: set spec.commonName, spec.subject or spec.literalSubject of the Certificate")
	case EmptySubjectFill:
		return fillSubject(template)
	default: // EmptySubjectWarn
		return nil
	}
}

// fillSubject derives the subject from the key. The name makes no claim about a host,
// and stays the same when the certificate is renewed with its key.
func fillSubject(template *x509.Certificate) error {
	name := pkix.Name{SerialNumber: hex.EncodeToString(template.SubjectKeyId)}
	raw, err := pki.MarshalRDNSequenceToRawDERBytes(name.ToRDNSequence())
	if err != nil {
		return newError(ReasonSigning, "the subject cannot be encoded: %s", err)
	}
	template.Subject, template.RawSubject = name, raw

	// RFC 5280 section 4.2.1.6: critical only if the subject is empty.
	for i := range template.ExtraExtensions {
		if template.ExtraExtensions[i].Id.Equal(oidSubjectAltName) {
			template.ExtraExtensions[i].Critical = false
		}
	}
	return nil
}

// attribute is an AttributeTypeAndValue (RFC 5280 section 4.1.2.4). Its value is not
// decoded, because encoding/asn1 supports only some of the string types.
type attribute struct {
	Type  asn1.ObjectIdentifier
	Value asn1.RawValue
}

// relativeNameSET is a RelativeDistinguishedName. encoding/asn1 decodes a type with
// this suffix as a SET.
type relativeNameSET []attribute

// emptyName returns whether a DER-encoded Name is empty. As in cert-manager,
// attributes with an empty value do not count.
func emptyName(der []byte) bool {
	var name []relativeNameSET
	if _, err := asn1.Unmarshal(der, &name); err != nil {
		return false // crypto/x509 has parsed it, so it is not empty
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
