// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package experiments

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// newKeyAndCSR returns a new private key and a request for a certificate with it, as
// cert-manager makes them for a Certificate with one name.
func newKeyAndCSR(name string) (key, csr []byte, err error) {
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(signer)
	if err != nil {
		return nil, nil, err
	}
	csrDER, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject:  pkix.Name{CommonName: name + ".example.com"},
		DNSNames: []string{name + ".example.com"},
	}, signer)
	if err != nil {
		return nil, nil, err
	}
	key = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
	csr = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: csrDER})
	return key, csr, nil
}

// newCertificate returns a certificate of a new key, signed with that key.
func newCertificate(name string) ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	identifier := make([]byte, 20)
	template := &x509.Certificate{
		SerialNumber: new(big.Int).Lsh(big.NewInt(1), 126),
		Subject:      pkix.Name{CommonName: name},
		DNSNames:     []string{name},
		NotAfter:     time.Now().Add(time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		SubjectKeyId: identifier, AuthorityKeyId: identifier,
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), err
}

// foreignSecretSize is what many Helm releases and service account tokens have.
const foreignSecretSize = 8 << 10

// createForeignSecrets makes Secrets that no request names, and returns their namespace.
func (b *bench) createForeignSecrets(ctx context.Context) (string, error) {
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "foreign-"}}
	if err := b.client.Create(ctx, namespace); err != nil {
		return "", err
	}
	content := make([]byte, foreignSecretSize)
	return namespace.Name, concurrently(ctx, b.ForeignSecrets, func(ctx context.Context, i int) error {
		return b.client.Create(ctx, &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace.Name, Name: fmt.Sprintf("foreign-%05d", i)},
			Data:       map[string][]byte{"content": content},
		})
	})
}
