// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/faultproxy"
)

// tokenLifetime is shorter than a minute, after which client-go reads a token again.
const tokenLifetime = 15 * time.Second

// TestTokenReplaced replaces the ServiceAccount's token after it has expired: requests wait, and
// the leader keeps its Lease.
func TestTokenReplaced(t *testing.T) {
	proxy, proxied := startProxy(t)
	account := proxied.Deployment.Spec.Template.Spec.ServiceAccountName
	kubeconfig, err := env.ControlPlane.ServiceAccountKubeconfig(t.Context(), proxied.Deployment.Namespace, account)
	expect.NoError(t, err)
	token := kubeconfig + ".token"
	valid, err := os.ReadFile(token)
	expect.NoError(t, err)
	write(t, token, signToken(t, account, tokenLifetime))
	proxied.Kubeconfig, err = proxy.Kubeconfig(kubeconfig)
	expect.NoError(t, err)
	all := &answers{}
	proxy.Inject(faultproxy.On("", ".*"), all.record)
	p := startReady(t, proxied)
	before := measure(t, p)

	b := newBurst(t, *requests)
	b.storm(t, 2*tokenLifetime, func() {
		env.Eventually(t, "use of the expired token", func(context.Context) error {
			if count := all.count(); count[http.StatusUnauthorized] == 0 {
				return fmt.Errorf("the API server answered %v", count)
			}
			return nil
		})
	})
	write(t, token, valid)
	t.Logf("settled %s after the token was replaced", b.settle(t))
	checkSteady(t, p, before)
}

func write(t *testing.T, file string, content []byte) {
	t.Helper()
	expect.NoError(t, os.WriteFile(file, content, 0o600))
}

// signToken creates a token like the API server, whose minimum lifetime is ten minutes.
func signToken(t *testing.T, account string, life time.Duration) []byte {
	t.Helper()
	namespace := env.Installation.Deployment.Namespace
	serviceAccount := &corev1.ServiceAccount{}
	expect.NoError(t, env.Client.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: account}, serviceAccount))
	encoded, err := os.ReadFile(filepath.Join(env.ControlPlane.Dir(), "service-account.key"))
	expect.NoError(t, err)
	block, _ := pem.Decode(encoded)
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	expect.NoError(t, err)
	const issuer = "https://kubernetes.default.svc.cluster.local"
	const leeway = time.Minute // for which the API server accepts an expired token
	now := time.Now()
	signed := segment(t, map[string]any{"alg": "ES256", "typ": "JWT"}) + "." + segment(t, map[string]any{
		"iss": issuer, "aud": []string{issuer}, "sub": "system:serviceaccount:" + namespace + ":" + account,
		"iat": now.Add(-time.Hour).Unix(), "nbf": now.Add(-time.Hour).Unix(), "exp": now.Add(life - leeway).Unix(),
		"kubernetes.io": map[string]any{
			"namespace":      namespace,
			"serviceaccount": map[string]any{"name": account, "uid": serviceAccount.UID},
		},
	})
	digest := sha256.Sum256([]byte(signed))
	r, s, err := ecdsa.Sign(rand.Reader, key.(*ecdsa.PrivateKey), digest[:])
	expect.NoError(t, err)
	signature := append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	return []byte(signed + "." + base64.RawURLEncoding.EncodeToString(signature))
}

func segment(t *testing.T, claims map[string]any) string {
	t.Helper()
	text, err := json.Marshal(claims)
	expect.NoError(t, err)
	return base64.RawURLEncoding.EncodeToString(text)
}
