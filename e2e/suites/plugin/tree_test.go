// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	cmutil "github.com/cert-manager/cert-manager/pkg/api/util"
	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	selfsigned "github.com/cert-manager/selfsigned-issuer/api/v1alpha1"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/certtext"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
)

const year = 365 * 24 * time.Hour

// newCertificate returns a Certificate whose Secret has the same name.
func newCertificate(namespace, name string, issuer cmmeta.IssuerReference, duration time.Duration) *cmapi.Certificate {
	return &cmapi.Certificate{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: cmapi.CertificateSpec{
			CommonName: name, SecretName: name, IssuerRef: issuer, Duration: &metav1.Duration{Duration: duration},
			PrivateKey: &cmapi.CertificatePrivateKey{Algorithm: cmapi.ECDSAKeyAlgorithm, RotationPolicy: cmapi.RotationPolicyNever},
		},
	}
}

// newRoot creates a root that is good, and waits for it.
func newRoot(t *testing.T, namespace, name string, edit func(*cmapi.Certificate)) *cmapi.Certificate {
	t.Helper()
	root := newCertificate(namespace, name, cmmeta.IssuerReference{Group: selfsigned.GroupName, Kind: "SelfSignedIssuer", Name: "roots"}, 10*year)
	root.Spec.IsCA = true
	edit(root)
	env.CreateCertificate(t, root)
	return root
}

// newPKI creates a namespace with the SelfSignedIssuer roots.
func newPKI(t *testing.T) (namespace string) {
	t.Helper()
	namespace = expect.NewNamespace(t, env.Client)
	env.Create(t, &selfsigned.SelfSignedIssuer{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "roots"}})
	return namespace
}

// newCA creates a CA issuer, or changes the Secret that it signs with.
func newCA(t *testing.T, namespace, name, secret string) cmmeta.IssuerReference {
	t.Helper()
	env.Create(t, &cmapi.Issuer{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       cmapi.IssuerSpec{IssuerConfig: cmapi.IssuerConfig{CA: &cmapi.CAIssuer{SecretName: secret}}},
	})
	return cmmeta.IssuerReference{Kind: "Issuer", Name: name}
}

// reissue renews a Certificate like "cmctl renew".
func reissue(t *testing.T, certificate *cmapi.Certificate) {
	t.Helper()
	env.Get(t, certificate)
	before := *certificate.Status.Revision
	env.ChangeStatus(t, certificate, func() {
		cmutil.SetCertificateCondition(certificate, certificate.Generation, cmapi.CertificateConditionIssuing, cmmeta.ConditionTrue, "ManuallyTriggered", "by a test")
	})
	env.Await(t, "a renewal", certificate, func() bool { return *certificate.Status.Revision > before })
}

// node is a Certificate in the output of tree.
type node struct {
	Namespace, Name, Ready, Subject, KeyIdentifier, Algorithm, TimeLeft, SecretError string

	NotAfter time.Time
	SignedBy *struct{ Generation, Certificate, KeyIdentifier string }
	Warnings []struct{ Reason, Message string }
	Issuers  []struct {
		Kind, Namespace, Name, Ready string
		Certificates                 []node
	}
}

// lines returns what does not depend on time and keys, one line for each Certificate and issuer. It compares
// the rest with the Secret.
func (n node) lines(t *testing.T, indent string) string {
	t.Helper()
	signedBy := "itself"
	if n.SignedBy != nil {
		signedBy = strings.TrimSpace(n.SignedBy.Generation + " " + n.SignedBy.Certificate)
	}
	var reasons []string
	for _, warning := range n.Warnings {
		reasons = append(reasons, warning.Reason)
	}
	text := fmt.Sprintf("%s%s/%s Ready=%s %q %q by %s %v\n", indent, n.Namespace, n.Name, n.Ready, n.Subject, n.Algorithm, signedBy, reasons)
	if n.SecretError == "" {
		n.compareWithSecret(t)
	}
	for _, issuer := range n.Issuers {
		text += fmt.Sprintf("%s %s %s/%s Ready=%s\n", indent, issuer.Kind, issuer.Namespace, issuer.Name, issuer.Ready)
		for _, certificate := range issuer.Certificates {
			text += certificate.lines(t, indent+"  ")
		}
	}
	return text
}

func (n node) compareWithSecret(t *testing.T) {
	t.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: n.Namespace, Name: n.Name}}
	env.Get(t, secret)
	certificate, err := certtext.Parse(secret.Data["tls.crt"])
	expect.NoError(t, err)
	expect.True(t, n.NotAfter.Equal(certificate.NotAfter), "%s/%s expires on %s, want %s", n.Namespace, n.Name, n.NotAfter, certificate.NotAfter)
	expect.True(t, n.TimeLeft != "", "%s/%s has no time left", n.Namespace, n.Name)
	if len(certificate.SubjectKeyId) > 0 {
		expect.Equal(t, n.Name+": key identifier", fmt.Sprintf("%X", certificate.SubjectKeyId), n.KeyIdentifier)
	}
	if n.SignedBy != nil {
		expect.Equal(t, n.Name+": key identifier of the CA", fmt.Sprintf("%X", certificate.AuthorityKeyId), n.SignedBy.KeyIdentifier)
	}
}

// expectTree compares the tree of a root, for a user.
func expectTree(t *testing.T, kubeconfig, namespace, root, want string) (stderr string) {
	t.Helper()
	got := run(t, kubeconfig, "tree", namespace+"/"+root, "-o", "json")
	var tree struct{ Roots []node }
	if err := json.Unmarshal([]byte(got.Out), &tree); err != nil || got.Status != 0 || len(tree.Roots) != 1 {
		t.Fatalf("%v: %+v", err, got)
	}
	lines := strings.ReplaceAll(tree.Roots[0].lines(t, ""), namespace, "NAMESPACE")
	expect.Equal(t, "the tree of "+root, strings.TrimSpace(want), strings.TrimSpace(lines))
	return got.Err
}

// TestTree has leaves of each generation of their root, and all warnings.
func TestTree(t *testing.T) {
	t.Parallel()
	namespace := newPKI(t)
	good := newRoot(t, namespace, "good", func(*cmapi.Certificate) {})
	ca := newCA(t, namespace, "ca", "good")
	env.CreateCertificate(t, newCertificate(namespace, "earlier", ca, year))
	reissue(t, good)
	env.CreateCertificate(t, newCertificate(namespace, "current", ca, year))
	env.CreateCertificate(t, newCertificate(namespace, "outlives", ca, 11*year))
	intermediate := newCertificate(namespace, "intermediate", ca, 2*year)
	intermediate.Spec.IsCA = true
	env.CreateCertificate(t, intermediate)
	env.CreateCertificate(t, newCertificate(namespace, "below", newCA(t, namespace, "intermediate", "intermediate"), year))
	bad := newRoot(t, namespace, "bad", func(root *cmapi.Certificate) {
		root.Spec.CommonName, root.Spec.DNSNames = "", []string{"root.example.com"}
		root.Spec.Duration.Duration, root.Spec.PrivateKey.RotationPolicy = 29*24*time.Hour, cmapi.RotationPolicyAlways
	})
	rotated := newCA(t, namespace, "rotated", "bad")
	env.CreateCertificate(t, newCertificate(namespace, "old-key", rotated, 24*time.Hour))
	reissue(t, bad)
	issuer := &cmapi.Issuer{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "rotated"}}
	moved := newCertificate(namespace, "moved", rotated, 24*time.Hour)
	env.CreateCertificate(t, moved)

	user := newUser(t, rules(t, "tree")...)
	stderr := expectTree(t, user, namespace, "good", `
NAMESPACE/good Ready=True "CN=good" "ECDSA 256" by itself []
 Issuer NAMESPACE/ca Ready=True
  NAMESPACE/current Ready=True "CN=current" "ECDSA 256" by Current NAMESPACE/good []
  NAMESPACE/earlier Ready=True "CN=earlier" "ECDSA 256" by SameKey NAMESPACE/good []
  NAMESPACE/intermediate Ready=True "CN=intermediate" "ECDSA 256" by Current NAMESPACE/good []
   Issuer NAMESPACE/intermediate Ready=True
    NAMESPACE/below Ready=True "CN=below" "ECDSA 256" by Current NAMESPACE/intermediate []
  NAMESPACE/outlives Ready=True "CN=outlives" "ECDSA 256" by Current NAMESPACE/good [OutlivesCA]`)
	expect.Equal(t, "stderr", "", stderr)
	expectTree(t, user, namespace, "bad", `
NAMESPACE/bad Ready=True "" "ECDSA 256" by itself [ExpiresSoon EmptySubject KeyRotates]
 Issuer NAMESPACE/rotated Ready=True
  NAMESPACE/moved Ready=True "CN=moved" "ECDSA 256" by Current NAMESPACE/bad [ExpiresSoon]
  NAMESPACE/old-key Ready=True "CN=old-key" "ECDSA 256" by OtherKey [ExpiresSoon]`)

	env.Change(t, issuer, func() { issuer.Spec.CA.SecretName = "good" })
	env.Eventually(t, "the tree after the issuer has changed", func(context.Context) error {
		got := run(t, user, "tree", namespace+"/good")
		return expect.NoDiff(true, strings.Contains(got.Out, "OtherKey "+namespace+"/bad") && strings.Contains(got.Out, "Certificate "+namespace+"/outlives: OutlivesCA: expires on "))
	})
	testWithoutSecrets(t, namespace)
	testAsPlugin(t, user, namespace)
}

// testWithoutSecrets lacks the permission for Secrets, and then all permissions.
func testWithoutSecrets(t *testing.T, namespace string) {
	t.Helper()
	reader := newUser(t, rules(t, "tree")[0])
	stderr := expectTree(t, reader, namespace, "bad", `
NAMESPACE/bad Ready=True "" "" by itself [ExpiresSoon KeyRotates]`)
	for _, want := range []string{
		"1 Secrets were not read", "deploy/examples/kubectl-selfsigned/tree.yaml",
		"Secret " + namespace + "/bad: secrets \"bad\" is forbidden",
	} {
		expect.True(t, strings.Contains(stderr, want), "stderr has no %q:\n%s", want, stderr)
	}
	got := run(t, newUser(t), "tree")
	expect.True(t, got.Status == 1 && strings.Contains(got.Err, "not allowed to list certificates in all namespaces; "+
		"deploy/examples/kubectl-selfsigned has a ClusterRole that grants it"), "without permissions: %+v", got)
}

// testAsPlugin runs kubectl, and completes an argument.
func testAsPlugin(t *testing.T, user, namespace string) {
	t.Helper()
	kubectl, err := env.Kubectl(t.Context(), t.Logf)
	expect.NoError(t, err)
	want := run(t, user, "tree", "-n", namespace, "good")
	got := start(t, exec.CommandContext(t.Context(), kubectl.Path, "selfsigned", "tree", "-n", namespace, "good", "--kubeconfig="+user))
	expect.Equal(t, "kubectl selfsigned tree", want, got)
	completed := start(t, exec.CommandContext(t.Context(), program, "__complete", "tree", "--kubeconfig="+user, ""))
	expect.True(t, strings.Contains(completed.Out, namespace+"/bad\n"+namespace+"/good\n"), "completes %+v", completed)
}

// TestUsage expects the exit statuses of selfsigned-issuer.
func TestUsage(t *testing.T) {
	t.Parallel()
	user := newUser(t, rules(t, "tree")...)
	for _, test := range []struct {
		args   []string
		status int
		err    string
	}{
		{[]string{"nothing"}, 2, `unknown command "nothing" for "kubectl selfsigned"; see --help`},
		{[]string{"tree", "--nothing"}, 2, "unknown flag: --nothing; see --help"},
		{[]string{"tree", "a", "b"}, 2, "accepts at most 1 arg(s), received 2; see --help"},
		{[]string{"tree", "a/b/c"}, 2, `"a/b/c": must be NAME or NAMESPACE/NAME; see --help`},
		{[]string{"tree", "-o", "xml"}, 2, `--output="xml": must be one of table, json, yaml; see --help`},
		{[]string{"tree", "no/root"}, 1, "no root no/root: name a Certificate with spec.isCA whose spec.issuerRef.group is " +
			"selfsigned.cert-manager.io; `kubectl selfsigned tree` lists all"},
	} {
		want := result{"", "kubectl-selfsigned: " + test.err + "\n", test.status}
		expect.Equal(t, strings.Join(test.args, " "), want, run(t, user, test.args...))
	}
}
