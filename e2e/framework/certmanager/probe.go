// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package certmanager

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// probeRequest returns a CertificateRequest that is valid for cert-manager.
func probeRequest() (*unstructured.Unstructured, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject: pkix.Name{CommonName: "readiness-probe"},
	}, key)
	if err != nil {
		return nil, err
	}
	csr := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
	return probeObject("CertificateRequest", map[string]any{
		"request":   base64.StdEncoding.EncodeToString(csr),
		"usages":    []any{"digital signature", "key encipherment"},
		"issuerRef": map[string]any{"name": "readiness-probe"},
	}), nil
}

// probeObject returns an object for dry runs; it is never stored.
func probeObject(kind string, spec map[string]any) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "cert-manager.io/v1",
		"kind":       kind,
		"metadata":   map[string]any{"name": "readiness-probe", "namespace": Namespace},
		"spec":       spec,
	}}
}
