// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package pki reads the public parts of the Secrets of a private PKI.
package pki

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// Secret has the public parts of a Secret that cert-manager has written.
type Secret struct {
	// Certificate is the first certificate in tls.crt.
	Certificate *x509.Certificate
	// CAs are the other certificates in tls.crt, and those in ca.crt.
	CAs []*x509.Certificate
}

// DecodeSecret decodes tls.crt and ca.crt of a Secret in JSON. It skips tls.key.
func DecodeSecret(content []byte) (*Secret, error) {
	var decoded struct {
		Data struct {
			Certificates []byte `json:"tls.crt"`
			CA           []byte `json:"ca.crt"`
		} `json:"data"`
	}
	if err := json.Unmarshal(content, &decoded); err != nil {
		return nil, err
	}
	certificates, err := parse(decoded.Data.Certificates)
	if err != nil {
		return nil, fmt.Errorf("tls.crt: %w", err)
	}
	if len(certificates) == 0 {
		return nil, errors.New("tls.crt: no certificate")
	}
	cas, err := parse(decoded.Data.CA)
	if err != nil {
		return nil, fmt.Errorf("ca.crt: %w", err)
	}
	return &Secret{Certificate: certificates[0], CAs: append(certificates[1:], cas...)}, nil
}

func parse(encoded []byte) ([]*x509.Certificate, error) {
	var certificates []*x509.Certificate
	for {
		var block *pem.Block
		if block, encoded = pem.Decode(encoded); block == nil {
			return certificates, nil
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		certificates = append(certificates, certificate)
	}
}

// Signed reports whether a chain can lead from a certificate to a CA certificate: by name, key
// identifier and signature.
func Signed(certificate, ca *x509.Certificate) bool {
	if !bytes.Equal(certificate.RawIssuer, ca.RawSubject) {
		return false
	}
	if len(certificate.AuthorityKeyId) > 0 && len(ca.SubjectKeyId) > 0 && !bytes.Equal(certificate.AuthorityKeyId, ca.SubjectKeyId) {
		return false
	}
	return ca.CheckSignature(certificate.SignatureAlgorithm, certificate.RawTBSCertificate, certificate.Signature) == nil
}

// SameKey reports whether two certificates have the same public key.
func SameKey(a, b *x509.Certificate) bool {
	return bytes.Equal(a.RawSubjectPublicKeyInfo, b.RawSubjectPublicKeyInfo)
}

// KeyIdentifier returns the subject key identifier in hexadecimal. If the certificate has none, it is
// computed as the issuer option subjectKeyIdentifier: SHA256 does.
func KeyIdentifier(certificate *x509.Certificate) string {
	identifier := certificate.SubjectKeyId
	if len(identifier) == 0 {
		hash := sha256.Sum256(publicKeyBits(certificate))
		identifier = hash[:20]
	}
	return strings.ToUpper(hex.EncodeToString(identifier))
}

func publicKeyBits(certificate *x509.Certificate) []byte {
	var info struct {
		Algorithm pkix.AlgorithmIdentifier
		PublicKey asn1.BitString
	}
	if _, err := asn1.Unmarshal(certificate.RawSubjectPublicKeyInfo, &info); err != nil {
		return certificate.RawSubjectPublicKeyInfo // impossible, because the certificate was parsed
	}
	return info.PublicKey.RightAlign()
}

// Algorithm returns the algorithm and the size of a public key.
func Algorithm(key crypto.PublicKey) string {
	switch key := key.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA %d", key.N.BitLen())
	case *ecdsa.PublicKey:
		return fmt.Sprintf("ECDSA %d", key.Curve.Params().BitSize)
	case ed25519.PublicKey:
		return "Ed25519"
	default:
		return "unknown"
	}
}
