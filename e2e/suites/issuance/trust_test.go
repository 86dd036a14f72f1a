// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package issuance_test

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestLeavesOutliveTheirRoot issues a root with the in-tree issuer, switches to ours, and renews
// it, with the same key. Clients that trust any of these roots trust all leaves, earlier and later.
func TestLeavesOutliveTheirRoot(t *testing.T) {
	t.Parallel()
	namespace := newNamespace(t)
	env.Create(t, inTreeIssuer(namespace, "in-tree", cmapi.IssuerConfig{SelfSigned: &cmapi.SelfSignedIssuer{}}))
	env.Create(t, inTreeIssuer(namespace, "ca", cmapi.IssuerConfig{CA: &cmapi.CAIssuer{SecretName: "tls"}}))
	root := newCertificate(namespace)
	ours := root.Spec.IssuerRef
	root.Spec.IsCA, root.Spec.CommonName, root.Spec.DNSNames = true, "root", nil
	root.Spec.PrivateKey.RotationPolicy = cmapi.RotationPolicyNever
	root.Spec.IssuerRef = inTreeRef("in-tree")
	env.Create(t, root)

	roots, leaves := map[string]*x509.Certificate{}, map[string]*x509.Certificate{}
	roots["in-tree"], _ = awaitIssued(t, root)
	leaves["of the in-tree root"] = issueLeaf(t, namespace, "first")

	change(t, root, func() { root.Spec.IssuerRef = ours })
	roots["ours"], _ = awaitIssued(t, root)
	leaves["of our root"] = issueLeaf(t, namespace, "second")

	renew(t, root)
	roots["renewed"], _ = awaitIssued(t, root)

	for rootName, root := range roots {
		for leafName, leaf := range leaves {
			name := fmt.Sprintf("leaf %s by the %s root", leafName, rootName)
			pool := x509.NewCertPool()
			pool.AddCert(root)
			if _, err := leaf.Verify(x509.VerifyOptions{Roots: pool, DNSName: "leaf.example.com"}); err != nil {
				t.Errorf("%s: Go does not verify it: %v", name, err)
			}
			verifyWithOpenSSL(t, name, leaf, root)
		}
	}
}

func inTreeIssuer(namespace, name string, config cmapi.IssuerConfig) *cmapi.Issuer {
	return &cmapi.Issuer{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       cmapi.IssuerSpec{IssuerConfig: config},
	}
}

func inTreeRef(name string) cmmeta.IssuerReference {
	return cmmeta.IssuerReference{Group: "cert-manager.io", Kind: "Issuer", Name: name}
}

// issueLeaf issues a leaf from cert-manager's CA issuer "ca".
func issueLeaf(t *testing.T, namespace, name string) *x509.Certificate {
	t.Helper()
	leaf := newCertificate(namespace)
	leaf.Name, leaf.Spec.SecretName = name, name
	leaf.Spec.CommonName, leaf.Spec.DNSNames = "", []string{"leaf.example.com"}
	leaf.Spec.IssuerRef = inTreeRef("ca")
	env.Create(t, leaf)
	secret := awaitSecret(t, leaf)
	block, _ := pem.Decode(secret.Data["tls.crt"])
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

// verifyWithOpenSSL verifies with the option -x509_strict of openssl, if the command exists.
func verifyWithOpenSSL(t *testing.T, name string, leaf, root *x509.Certificate) {
	t.Helper()
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Logf("%s: not verified with OpenSSL: %v", name, err)
		return
	}
	dir := t.TempDir()
	leafFile, rootFile := filepath.Join(dir, "leaf.pem"), filepath.Join(dir, "root.pem")
	for file, certificate := range map[string]*x509.Certificate{leafFile: leaf, rootFile: root} {
		if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw}), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	command := exec.CommandContext(t.Context(), openssl, "verify", "-x509_strict", "-no-CApath", "-no-CAstore", "-CAfile", rootFile, leafFile)
	if output, err := command.CombinedOutput(); err != nil {
		t.Errorf("%s: openssl does not verify it: %v\n%s", name, err, output)
	}
}
