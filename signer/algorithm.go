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

// algorithms are all that an issuer can name, with the type of key they are for.
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

// choose returns the algorithm that a request is signed with.
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

// algorithmOfKey returns what cert-manager signs certificates with.
func algorithmOfKey(key crypto.PublicKey) (x509.SignatureAlgorithm, error) {
	return defaultAlgorithm(key, rsaBits)
}

// defaultAlgorithm asks cert-manager for its choice rather than repeating it here.
// The size of an RSA key is counted by bits.
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

// algorithmOfRequest refuses what Go verifies but nobody should sign with any
// more, which is SHA-1.
func algorithmOfRequest(csr *x509.CertificateRequest) (x509.SignatureAlgorithm, error) {
	for _, known := range algorithms {
		if known.algorithm == csr.SignatureAlgorithm {
			return known.algorithm, nil
		}
	}
	return 0, newError(ReasonSignatureAlgorithm,
		"spec.request is signed with %s, which certificates are not signed with, and the issuer's spec.signatureAlgorithm is FromRequest: sign the request with one of %s",
		csr.SignatureAlgorithm, namesFor(csr.PublicKeyAlgorithm))
}

// forKey returns the named algorithm if a key of that type can sign with it.
func (s SignatureAlgorithm) forKey(key x509.PublicKeyAlgorithm) (x509.SignatureAlgorithm, error) {
	for _, known := range algorithms {
		if known.name == s && known.key == key {
			return known.algorithm, nil
		}
	}
	return 0, newError(ReasonSignatureAlgorithm,
		"the issuer's spec.signatureAlgorithm %q does not fit the %s key of the request: use one of %s, or another spec.privateKey.algorithm of the Certificate",
		s, key, namesFor(key))
}

// signatureWarnings reports that the algorithm which a Certificate names is not used.
// cert-manager signs the CSR with it, or with a default that depends on
// spec.privateKey.size, which is the exact size of the key.
func (c *ParsedRequest) signatureWarnings(used x509.SignatureAlgorithm) []string {
	asked := c.csr.SignatureAlgorithm
	if !c.fromCertificate || asked == used {
		return nil
	}
	exactBits := func(key *rsa.PublicKey) int { return key.N.BitLen() }
	if unasked, err := defaultAlgorithm(c.csr.PublicKey, exactBits); err != nil || asked == unasked {
		return nil
	}
	return []string{fmt.Sprintf(
		"The certificate is signed with %s, not with the %s that the Certificate asks for. To follow the Certificate, set spec.signatureAlgorithm of the issuer to FromRequest.",
		nameOf(used), nameOf(asked))}
}

// nameOf returns the name of an algorithm in the API, or Go's where it has none.
func nameOf(algorithm x509.SignatureAlgorithm) string {
	for _, known := range algorithms {
		if known.algorithm == algorithm {
			return string(known.name)
		}
	}
	return algorithm.String()
}

// namesFor lists what an issuer can name for a type of key.
func namesFor(key x509.PublicKeyAlgorithm) string {
	names := []string{string(SignatureAlgorithmFromKey), string(SignatureAlgorithmFromRequest)}
	for _, known := range algorithms {
		if known.key == key {
			names = append(names, string(known.name))
		}
	}
	return strings.Join(names, ", ")
}
