// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package certtext prints certificates.
package certtext

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Parse reads the first certificate of a PEM bundle.
func Parse(bundle []byte) (*x509.Certificate, error) {
	block, _ := pem.Decode(bundle)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, errors.New("not a PEM-encoded certificate")
	}
	return x509.ParseCertificate(block.Bytes)
}

// Describe returns the main fields of a certificate, one per line.
func Describe(certificate *x509.Certificate) string {
	var text strings.Builder
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&text, "%-11s %s\n", name, value)
		}
	}
	line("Subject", dn(certificate.Subject.String()))
	line("Issuer", dn(certificate.Issuer.String()))
	line("Serial", spaced(certificate.SerialNumber.Bytes()))
	line("Valid", fmt.Sprintf("%s to %s", certificate.NotBefore.UTC().Format(time.DateTime), certificate.NotAfter.UTC().Format(time.DateTime+" MST")))
	line("Key", keyName(certificate)+", signed with "+certificate.SignatureAlgorithm.String())
	line("SKI", spaced(certificate.SubjectKeyId))
	line("AKI", spaced(certificate.AuthorityKeyId))
	line("CA", map[bool]string{true: "yes", false: "no"}[certificate.IsCA])
	line("DNS names", strings.Join(certificate.DNSNames, ", "))
	line("CRL DP", strings.Join(certificate.CRLDistributionPoints, ", "))
	return text.String()
}

func dn(name string) string {
	if name == "" {
		return "(empty)"
	}
	return name
}

// spaced writes bytes as openssl does.
func spaced(raw []byte) string {
	return strings.ReplaceAll(fmt.Sprintf("% X", raw), " ", ":")
}

func keyName(certificate *x509.Certificate) string {
	switch key := certificate.PublicKey.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA %d", key.N.BitLen())
	case *ecdsa.PublicKey:
		return "ECDSA " + key.Curve.Params().Name
	case ed25519.PublicKey:
		return "Ed25519"
	default:
		return certificate.PublicKeyAlgorithm.String()
	}
}
