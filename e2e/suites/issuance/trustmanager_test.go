// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package issuance_test

import (
	"context"
	"crypto/x509"
	"fmt"
	"strings"
	"testing"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/certtext"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/trustmanager"
)

// TestTrustManager distributes a root with deploy/examples/trust-manager. Clients in another
// namespace trust its certificates, also after a renewal of the root.
func TestTrustManager(t *testing.T) {
	t.Parallel()
	trustManager, err := trustmanager.Install(t.Context(), env.ControlPlane, t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := trustManager.Stop(); err != nil {
			t.Error(err)
		}
	})
	for _, path := range exampleFiles(t, "trust-manager/*.yaml") {
		applyFile(t, path)
	}
	wants, other := newNamespace(t, "trusted-root"), newNamespace(t)

	root := &cmapi.Certificate{ObjectMeta: metav1.ObjectMeta{Namespace: "cert-manager", Name: "trusted-root"}}
	first, secret := awaitIssued(t, root)
	leaf := newCertificate(wants)
	leaf.Spec.IssuerRef = cmmeta.IssuerReference{Group: "cert-manager.io", Kind: "ClusterIssuer", Name: "trusted-ca"}
	env.Create(t, leaf)
	chain := awaitSecret(t, leaf).Data["tls.crt"]
	verify(t, chain, awaitRoot(t, wants, secret))

	renew(t, root)
	second, secret := awaitIssued(t, root)
	if second.SerialNumber.Cmp(first.SerialNumber) == 0 {
		t.Error("the root was not renewed")
	}
	verify(t, chain, awaitRoot(t, wants, secret)) // signed before

	err = env.Client.Get(t.Context(), client.ObjectKey{Namespace: other, Name: "trusted-root"}, &corev1.ConfigMap{})
	if !apierrors.IsNotFound(err) {
		t.Errorf("a namespace without the label: want no ConfigMap, got %v", err)
	}
}

// awaitRoot waits until the namespace's ConfigMap contains only ca.crt of the Secret, and returns it.
func awaitRoot(t *testing.T, namespace string, root *corev1.Secret) *x509.CertPool {
	t.Helper()
	want := strings.TrimSpace(string(root.Data["ca.crt"]))
	pool := x509.NewCertPool()
	env.Eventually(t, "the root in "+namespace, func(ctx context.Context) error {
		var bundle corev1.ConfigMap
		if err := env.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: "trusted-root"}, &bundle); err != nil {
			return err
		}
		if len(bundle.Data) != 1 || strings.TrimSpace(bundle.Data["ca.crt"]) != want {
			return fmt.Errorf("the ConfigMap contains %q", bundle.Data)
		}
		if !pool.AppendCertsFromPEM([]byte(bundle.Data["ca.crt"])) {
			t.Error("ca.crt in the ConfigMap is no certificate")
		}
		return nil
	})
	return pool
}

// verify verifies a chain as a client that trusts only the roots.
func verify(t *testing.T, chain []byte, roots *x509.CertPool) {
	t.Helper()
	leaf, err := certtext.Parse(chain)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: "example.com"}); err != nil {
		t.Error(err)
	}
}
