// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package issuance_test

import (
	"context"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/addon"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/build"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/certtext"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/manifest"
)

// TestExamples applies every example, in sequence and in one cluster, and waits for its
// Certificates. The suite manifests checks that each example is complete.
func TestExamples(t *testing.T) {
	for _, path := range exampleFiles(t, "*.yaml") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			for _, object := range applyFile(t, path) {
				if object.GetKind() != cmapi.CertificateKind {
					continue
				}
				certificate := &cmapi.Certificate{}
				expect.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, certificate))
				awaitSecret(t, certificate)
			}
		})
	}
}

func exampleFiles(t *testing.T, pattern string) []string {
	t.Helper()
	root, err := build.Root()
	expect.NoError(t, err)
	paths, err := filepath.Glob(filepath.Join(root, "deploy/examples", pattern))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no examples, %v", err)
	}
	return paths
}

func applyFile(t *testing.T, path string) []*unstructured.Unstructured {
	t.Helper()
	stream, err := os.ReadFile(path)
	expect.NoError(t, err)
	objects, err := manifest.Decode(stream)
	expect.NoError(t, err)
	expect.NoError(t, manifest.Apply(t.Context(), env.ControlPlane.AdminConfig(), objects...))
	return objects
}

// TestTrustManager distributes a root with deploy/examples/trust-manager. Clients in another
// namespace trust its certificates, also after a renewal of the root.
func TestTrustManager(t *testing.T) {
	t.Parallel()
	trustManager, err := addon.InstallTrustManager(t.Context(), env.ControlPlane, t.Logf)
	expect.NoError(t, err)
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

	env.Renew(t, root)
	second, secret := awaitIssued(t, root)
	expect.True(t, second.SerialNumber.Cmp(first.SerialNumber) != 0, "the root was not renewed")
	verify(t, chain, awaitRoot(t, wants, secret)) // signed before

	err = env.Client.Get(t.Context(), client.ObjectKey{Namespace: other, Name: "trusted-root"}, &corev1.ConfigMap{})
	expect.True(t, apierrors.IsNotFound(err), "a namespace without the label: want no ConfigMap, got %v", err)
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
		expect.True(t, pool.AppendCertsFromPEM([]byte(bundle.Data["ca.crt"])),
			"ca.crt in the ConfigMap is no certificate")
		return nil
	})
	return pool
}

// verify verifies a chain as a client that trusts only the roots.
func verify(t *testing.T, chain []byte, roots *x509.CertPool) {
	t.Helper()
	leaf, err := certtext.Parse(chain)
	expect.NoError(t, err)
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: "example.com"}); err != nil {
		t.Error(err)
	}
}
