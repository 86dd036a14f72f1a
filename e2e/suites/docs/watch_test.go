// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"context"
	"crypto/x509"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/certtext"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/testenv"
)

const rotationPage = "docs/guides/rotate-root.md"

// watch runs a client that connects continuously, for a page that promises no interruption.
func watch(t *testing.T, path string, env *testenv.Environment) (stop func()) {
	t.Helper()
	if path != rotationPage {
		return func() {}
	}
	ctx, cancel := context.WithCancel(t.Context())
	done, served := make(chan struct{}), map[string]int{}
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			issuer, problem := handshake(ctx, env.Client)
			if problem != nil && ctx.Err() == nil {
				t.Errorf("a client fails during the rotation: %v", problem)
				return
			}
			served[issuer]++
		}
	}()
	return func() {
		cancel()
		<-done
		t.Logf("handshakes by issuer: %v", served)
		expect.True(t, served["Example Root 1"] > 0 && served["Example Root 2"] > 0,
			"the service has not used both roots: %v", served)
	}
}

// handshake verifies the certificate of the service with the roots of its clients, and returns its
// issuer, or an empty string if one of them does not exist yet.
func handshake(ctx context.Context, reader client.Reader) (issuer string, err error) {
	leaf, trust := &corev1.Secret{}, &corev1.ConfigMap{}
	if err := reader.Get(ctx, client.ObjectKey{Namespace: "rotation", Name: "service-tls"}, leaf); err != nil {
		return "", client.IgnoreNotFound(err)
	}
	if err := reader.Get(ctx, client.ObjectKey{Namespace: "rotation", Name: "trust"}, trust); err != nil {
		return "", client.IgnoreNotFound(err)
	}
	certificate, err := certtext.Parse(leaf.Data["tls.crt"])
	if err != nil {
		return "", err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(trust.Data["ca.crt"]))
	_, err = certificate.Verify(x509.VerifyOptions{Roots: roots, DNSName: "service.example.com"})
	return certificate.Issuer.CommonName, err
}
