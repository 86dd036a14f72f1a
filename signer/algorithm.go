// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package signer

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"strings"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	"github.com/cert-manager/cert-manager/pkg/util/pki"
)

// algorithms are the values of spec.signatureAlgorithm, with their type of key.
var algorithms = []struct {
	name      SignatureAlgorithm
	algorithm x509.SignatureAlgorithm
	key       x509.PublicKeyAlgorithm
}{
	{"SHA256WithRSA", x509.SHA256WithRSA, x509.RSA},
	{"SHA384WithRSA", x509.SHA384WithRSA, x509.RSA},
	{"SHA512WithRSA", x509.SHA512WithRSA, x509.RSA},
	{"SHA256WithRSAPSS", x509.SHA256WithRSAPSS, x509.RSA},
	{"SHA384WithRSAPSS", x509.SHA384WithRSAPSS, x509.RSA},
	{"SHA512WithRSAPSS", x509.SHA512WithRSAPSS, x509.RSA},
	{"ECDSAWithSHA256", x509.ECDSAWithSHA256, x509.ECDSA},
	{"ECDSAWithSHA384", x509.ECDSAWithSHA384, x509.ECDSA},
	{"ECDSAWithSHA512", x509.ECDSAWithSHA512, x509.ECDSA},
	{"PureEd25519", x509.PureEd25519, x509.Ed25519},
}

// choose returns the algorithm to sign the certificate with.
func (s SignatureAlgorithm) choose(csr *x509.CertificateRequest) (x509.SignatureAlgorithm, error) {
	switch s {
	case "", SignatureAlgorithmFromKey:
		return algorithmOfKey(csr.PublicKey)
	case SignatureAlgorithmFromRequest:
		return algorithmOfRequest(csr)
	default:
		return s.forKey(csr.PublicKeyAlgorithm)
	}
}

// algorithmOfKey returns the algorithm that cert-manager signs certificates with.
func algorithmOfKey(key crypto.PublicKey) (x509.SignatureAlgorithm, error) {
	return defaultAlgorithm(key, rsaBits)
}

// defaultAlgorithm returns cert-manager's choice. The function bits returns the size
// of an RSA key.
func defaultAlgorithm(key crypto.PublicKey, bits func(*rsa.PublicKey) int) (x509.SignatureAlgorithm, error) {
	spec := &cmapi.CertificatePrivateKey{Algorithm: cmapi.Ed25519KeyAlgorithm}
	switch key := key.(type) {
	case *rsa.PublicKey:
		spec = &cmapi.CertificatePrivateKey{Algorithm: cmapi.RSAKeyAlgorithm, Size: bits(key)}
	case *ecdsa.PublicKey:
		spec = &cmapi.CertificatePrivateKey{Algorithm: cmapi.ECDSAKeyAlgorithm, Size: key.Curve.Params().BitSize}
	}
	_, algorithm, err := pki.SignatureAlgorithm(&cmapi.Certificate{Spec: cmapi.CertificateSpec{PrivateKey: spec}})
	if err != nil {
		return 0, newError(ReasonSignatureAlgorithm, "cert-manager has no signature algorithm for the key of the request: %s", err)
	}
	return algorithm, nil
}

// algorithmOfRequest rejects SHA-1, which Go still verifies.
func algorithmOfRequest(csr *x509.CertificateRequest) (x509.SignatureAlgorithm, error) {
	for _, known := range algorithms {
		if known.algorithm == csr.SignatureAlgorithm {
			return known.algorithm, nil
		}
	}
	return 0, newError(ReasonSignatureAlgorithm,
		"spec.request is signed with %s, which is not supported for certificates: set the issuer's spec.signatureAlgorithm to FromKey instead of FromRequest, or sign the request with one of %s",
		csr.SignatureAlgorithm, namesFor(csr.PublicKeyAlgorithm))
}

// forKey returns the named algorithm if a key of this type supports it.
func (s SignatureAlgorithm) forKey(key x509.PublicKeyAlgorithm) (x509.SignatureAlgorithm, error) {
	for _, known := range algorithms {
		if known.name == s && known.key == key {
			return known.algorithm, nil
		}
	}
	return 0, newError(ReasonSignatureAlgorithm,
		"the issuer's spec.signatureAlgorithm %q does not match the %s key of the request: set it to FromKey, FromRequest or one of %s, or change spec.privateKey.algorithm of the Certificate",
		s, key, namesFor(key))
}

// signatureWarnings reports that the algorithm of the Certificate is not used.
// cert-manager signs the CSR with this algorithm, or with a default that depends on
// spec.privateKey.size, which is the exact size of the key.
func (c *ParsedRequest) signatureWarnings(used x509.SignatureAlgorithm) []string {
	requested := c.csr.SignatureAlgorithm
	if !c.fromCertificate || requested == used {
		return nil
	}
	exactBits := func(key *rsa.PublicKey) int { return key.N.BitLen() }
	if byDefault, err := defaultAlgorithm(c.csr.PublicKey, exactBits); err != nil || requested == byDefault {
		return nil
	}
	return []string{fmt.Sprintf(
		"The certificate is signed with %s instead of %s, which the Certificate requests. To apply it, set spec.signatureAlgorithm to FromRequest on the issuer.",
		nameOf(used), nameOf(requested))}
}

// nameOf returns the name of an algorithm in the API, or else in Go.
func nameOf(algorithm x509.SignatureAlgorithm) string {
	for _, known := range algorithms {
		if known.algorithm == algorithm {
			return string(known.name)
		}
	}
	return algorithm.String()
}

// namesFor lists the algorithms for a type of key.
func namesFor(key x509.PublicKeyAlgorithm) string {
	var names []string
	for _, known := range algorithms {
		if known.key == key {
			names = append(names, string(known.name))
		}
	}
	return strings.Join(names, ", ")
}
