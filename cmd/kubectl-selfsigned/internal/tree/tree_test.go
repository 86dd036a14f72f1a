// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package tree_test

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"flag"
	"math/big"
	"os"
	"testing"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/cert-manager/selfsigned-issuer/cmd/kubectl-selfsigned/internal/cluster"
	"github.com/cert-manager/selfsigned-issuer/cmd/kubectl-selfsigned/internal/pki"
	"github.com/cert-manager/selfsigned-issuer/cmd/kubectl-selfsigned/internal/tree"
)

var update = flag.Bool("update", false, "write the expected output")

var now = time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)

const day = 24 * time.Hour

// key returns the private key with a number, so that key identifiers are the same in each run.
func key(number byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{number}, ed25519.SeedSize))
}

// authority is a CA in tests.
type authority struct {
	certificate *x509.Certificate
	key         crypto.Signer
}

// sign returns a certificate of a key. Without a CA, it signs itself.
func sign(t *testing.T, ca *authority, name string, key crypto.Signer, left time.Duration) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(int64(left)), NotBefore: now.Add(-day), NotAfter: now.Add(left),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	if name != "" {
		template.Subject = pkix.Name{CommonName: name}
	}
	parent, signer := template, key
	if ca != nil {
		parent, signer = ca.certificate, ca.key
	}
	encoded, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(encoded)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

// certificate returns a Certificate whose Secret has its name with the suffix -tls.
func certificate(namespace, name string, issuer cmmeta.IssuerReference, left time.Duration) cmapi.Certificate {
	return cmapi.Certificate{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: types.UID(namespace + "/" + name)},
		Spec:       cmapi.CertificateSpec{SecretName: name + "-tls", IssuerRef: issuer},
		Status: cmapi.CertificateStatus{
			NotAfter:   &metav1.Time{Time: now.Add(left)},
			Conditions: []cmapi.CertificateCondition{{Type: cmapi.CertificateConditionReady, Status: cmmeta.ConditionTrue}},
		},
	}
}

func ca(object cmapi.Certificate, policy cmapi.PrivateKeyRotationPolicy) cmapi.Certificate {
	object.Spec.IsCA = true
	object.Spec.PrivateKey = &cmapi.CertificatePrivateKey{RotationPolicy: policy}
	return object
}

func caIssuer(namespace, name, secret string) cmapi.Issuer {
	issuer := cmapi.Issuer{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	issuer.Spec.CA = &cmapi.CAIssuer{SecretName: secret}
	issuer.Status.Conditions = []cmapi.IssuerCondition{{Type: cmapi.IssuerConditionReady, Status: cmmeta.ConditionTrue}}
	return issuer
}

func caClusterIssuer(name, secret string) cmapi.ClusterIssuer {
	issuer := caIssuer("", name, secret)
	return cmapi.ClusterIssuer{ObjectMeta: issuer.ObjectMeta, Spec: issuer.Spec, Status: issuer.Status}
}

var (
	ours      = cmmeta.IssuerReference{Group: "selfsigned.cert-manager.io", Kind: "ClusterSelfSignedIssuer", Name: "roots"}
	ofIssuer  = cmmeta.IssuerReference{Name: "ca"} // with cert-manager's defaults
	ofCluster = cmmeta.IssuerReference{Group: "cert-manager.io", Kind: "ClusterIssuer", Name: "ca"}
)

// pkis returns two PKIs. That of the issuers with the name ca has an intermediate CA, and leaves of each
// generation. The other one has a root with all warnings, which has signed a leaf of the first one.
func pkis(t *testing.T) (cluster.Objects, cluster.Secrets) {
	t.Helper()
	objects := cluster.Objects{
		ClusterIssuers: []cmapi.ClusterIssuer{caClusterIssuer("ca", "root-tls"), caClusterIssuer("other-namespace", "old-tls")},
		Issuers: []cmapi.Issuer{
			caIssuer("cert-manager", "ca", "root-tls"), caIssuer("apps", "intermediate", "intermediate-tls"),
			caIssuer("apps", "old", "old-tls"), caIssuer("apps", "same-name", "root-tls"), {},
		},
		Certificates: []cmapi.Certificate{
			ca(certificate("cert-manager", "root", ours, 1000*day), cmapi.RotationPolicyNever),
			ca(certificate("apps", "old", ours, 20*day), cmapi.RotationPolicyAlways),
			ca(certificate("apps", "intermediate", ofCluster, 500*day), ""),
			certificate("apps", "current", ofCluster, 90*day),
			certificate("apps", "below", cmmeta.IssuerReference{Kind: "Issuer", Name: "intermediate"}, 90*day),
			certificate("apps", "outlives", ofCluster, 1001*day),
			certificate("apps", "earlier-copy", ofCluster, 90*day),
			certificate("apps", "other-root", ofCluster, 25*day),
			certificate("apps", "deleted-root", ofCluster, 90*day),
			certificate("apps", "unread", ofCluster, -day),
			certificate("cert-manager", "near", ofIssuer, 90*day),
			certificate("apps", "no-ca", ours, 90*day),
			certificate("elsewhere", "same-name", ofIssuer, 90*day),
		},
	}
	root := &authority{sign(t, nil, "Root", key(1), 1000*day), key(1)}
	earlier := &authority{sign(t, nil, "Root", key(1), 100*day), key(1)}
	old := &authority{sign(t, nil, "", key(2), 20*day), key(2)}
	deleted := &authority{sign(t, nil, "Deleted", key(3), 50*day), key(3)}
	intermediate := &authority{sign(t, root, "Intermediate", key(4), 500*day), key(4)}
	secrets := cluster.Secrets{}
	add := func(namespace, name string, c *x509.Certificate, cas ...*x509.Certificate) {
		secrets[types.NamespacedName{Namespace: namespace, Name: name + "-tls"}] = cluster.Secret{Secret: &pki.Secret{Certificate: c, CAs: cas}}
	}
	add("cert-manager", "root", root.certificate, root.certificate)
	add("apps", "old", old.certificate, old.certificate)
	add("apps", "intermediate", intermediate.certificate, root.certificate)
	add("apps", "current", sign(t, root, "current", key(5), 90*day), root.certificate)
	add("apps", "below", sign(t, intermediate, "below", key(6), 90*day), intermediate.certificate, root.certificate)
	add("apps", "outlives", sign(t, root, "outlives", key(7), 1001*day), root.certificate)
	add("apps", "earlier-copy", sign(t, earlier, "earlier-copy", key(8), 90*day), earlier.certificate)
	add("apps", "other-root", sign(t, old, "other-root", key(9), 25*day), old.certificate)
	add("apps", "deleted-root", sign(t, deleted, "deleted-root", key(10), 90*day), deleted.certificate)
	add("cert-manager", "near", sign(t, root, "near", key(11), 90*day), root.certificate)
	secrets[types.NamespacedName{Namespace: "apps", Name: "unread-tls"}] = cluster.Secret{Err: errors.New("forbidden")}
	return objects, secrets
}

// TestTree compares the tree with testdata.
func TestTree(t *testing.T) {
	objects, secrets := pkis(t)
	all := tree.Build(objects, "cert-manager")
	all.Describe(secrets, now, 30*day)
	var table bytes.Buffer
	if err := all.Print(&table); err != nil {
		t.Fatal(err)
	}
	compare(t, "testdata/tree.txt", table.Bytes())
	encoded, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	compare(t, "testdata/tree.json", append(encoded, '\n'))
}

func compare(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("not as in %s (go test -update writes it):\n%s", path, got)
	}
}

// TestSelect keeps one root, and finds the leaf that the other one has signed.
func TestSelect(t *testing.T) {
	objects, secrets := pkis(t)
	selected := tree.Build(objects, "cert-manager")
	root, err := selected.Select(types.NamespacedName{Namespace: "cert-manager", Name: "root"})
	if err != nil {
		t.Fatal(err)
	}
	var read []string
	for _, name := range selected.Secrets() {
		read = append(read, name.String())
	}
	if len(read) != 11 {
		t.Errorf("reads the Secrets %q", read)
	}
	selected.Describe(secrets, now, 0)
	levels := root.Below()
	if len(levels) != 2 || len(levels[0]) != 8 || len(levels[1]) != 1 {
		t.Fatalf("levels %v", levels)
	}
	for _, certificate := range levels[0] {
		if certificate.Name == "other-root" && certificate.SignedBy.Certificate != "apps/old" {
			t.Errorf("other-root is signed by %+v", certificate.SignedBy)
		}
	}
	_, err = tree.Build(objects, "cert-manager").Select(types.NamespacedName{Namespace: "apps", Name: "current"})
	const want = "no root apps/current: name a Certificate with spec.isCA whose spec.issuerRef.group is selfsigned.cert-manager.io; " +
		"`kubectl selfsigned tree` lists all"
	if err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

// TestCycle has a CA issuer that signs the certificate that it signs with.
func TestCycle(t *testing.T) {
	objects := cluster.Objects{
		Issuers: []cmapi.Issuer{caIssuer("apps", "ca", "root-tls"), caIssuer("apps", "loop", "loop-tls")},
		Certificates: []cmapi.Certificate{
			ca(certificate("apps", "root", ours, day), ""), ca(certificate("apps", "loop", ofIssuer, day), ""),
			ca(certificate("apps", "looped", cmmeta.IssuerReference{Name: "loop"}, day), ""),
		},
	}
	objects.Certificates[2].Spec.SecretName = "loop-tls"
	below := tree.Build(objects, "cert-manager").Roots[0].Below()
	if len(below) != 2 || below[0][0].Name != "loop" || below[1][0].Name != "looped" {
		t.Errorf("below the root: %v", below)
	}
}
