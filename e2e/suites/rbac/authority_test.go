// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package rbac

import (
	"crypto"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/cert-manager/cert-manager/pkg/util/pki"
)

// authority issues the certificates of deploy/components/metrics-certificate, and writes them to a
// directory, as the kubelet does.
type authority struct {
	certificate *x509.Certificate
	key         crypto.Signer
	directory   string
	serial      int64
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{directory: t.TempDir(), serial: 1}
	template := &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	a.certificate, a.key = a.sign(t, template)
	a.trust(t, a)
	return a
}

// trust accepts only clients of another authority.
func (a *authority) trust(t *testing.T, other *authority) {
	t.Helper()
	replace(t, a.directory+"/ca.crt", encode(t, other.certificate))
}

// serve writes a new certificate to the directory.
func (a *authority) serve(t *testing.T) *x509.Certificate {
	t.Helper()
	issued := a.issue(t, x509.ExtKeyUsageServerAuth)
	key, err := pki.EncodePKCS8PrivateKey(issued.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	replace(t, a.directory+"/tls.key", key)
	replace(t, a.directory+"/tls.crt", encode(t, issued.Leaf))
	return issued.Leaf
}

func (a *authority) issue(t *testing.T, usage x509.ExtKeyUsage) tls.Certificate {
	t.Helper()
	leaf, key := a.sign(t, &x509.Certificate{
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{usage},
	})
	return tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key, Leaf: leaf}
}

// sign signs the certificate of a new key; the first one is self-signed.
func (a *authority) sign(t *testing.T, template *x509.Certificate) (*x509.Certificate, crypto.Signer) {
	t.Helper()
	key, err := pki.GenerateECPrivateKey(256)
	if err != nil {
		t.Fatal(err)
	}
	a.serial++
	template.SerialNumber = big.NewInt(a.serial)
	template.Subject = pkix.Name{CommonName: t.Name(), SerialNumber: template.SerialNumber.String()}
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Minute), time.Now().Add(time.Hour)
	issuer, signer := a.certificate, a.key
	if issuer == nil {
		issuer, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return certificate, key
}

func encode(t *testing.T, certificate *x509.Certificate) []byte {
	t.Helper()
	pem, err := pki.EncodeX509(certificate)
	if err != nil {
		t.Fatal(err)
	}
	return pem
}
