// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package upgrade

import (
	"fmt"
	"strings"
	"testing"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	selfsigned "github.com/cert-manager/selfsigned-issuer/api/v1alpha1"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/certtext"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/manifest"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/repo"
)

const (
	namespace = "older"
	overlay   = "deploy/overlays/default"
	// keepIssuers keeps the CRDs, and with them the issuers.
	keepIssuers = "!selfsigned.cert-manager.io/crds"
)

func read(t *testing.T, name string) []*unstructured.Unstructured {
	t.Helper()
	objects, err := manifest.Decode([]byte(repo.ReadFile(t, "testdata", "first-release", name)))
	expect.NoError(t, err)
	return objects
}

// installFirstRelease creates issuers that were Ready with that release.
func (l *life) installFirstRelease(t *testing.T) {
	expect.NoError(t, manifest.ApplyCRDs(t.Context(), l.ControlPlane.AdminConfig(), read(t, "crds.yaml")...))
	expect.NoError(t, manifest.Apply(t.Context(), l.ControlPlane.AdminConfig(), read(t, "issuers.yaml")...))
	invalid := &selfsigned.SelfSignedIssuer{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "invalid"}}
	l.Get(t, invalid)
	meta.SetStatusCondition(&invalid.Status.Conditions, metav1.Condition{
		Type: "Ready", Status: metav1.ConditionTrue, Reason: "Checked", Message: "Succeeded checking the issuer", ObservedGeneration: invalid.Generation,
	})
	expect.NoError(t, l.Client.Status().Update(t.Context(), invalid))
}

// upgrade applies the CRDs first, as docs/upgrade.md says.
func (l *life) upgrade(t *testing.T) {
	l.run(t, "apply", "--server-side", "--force-conflicts", "-k", "deploy/crds")
	l.startIssuer(t)
}

func (l *life) testOlderIssuers(t *testing.T) {
	l.checkIssuers(t)
	for name, ready := range map[string]metav1.ConditionStatus{"empty": "True", "valid": "True", "invalid": "False"} {
		issuer := &selfsigned.SelfSignedIssuer{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
		l.Await(t, name, issuer, func() bool {
			return meta.IsStatusConditionPresentAndEqual(issuer.Status.Conditions, "Ready", ready) && issuer.Status.ObservedGeneration > 0
		})
		// An issuer that violates a later rule can still be changed.
		issuer.Labels = map[string]string{"changed": "true"}
		l.Update(t, issuer)
	}
	l.issue(t, "SelfSignedIssuer", "http://crl.example.com/root.crl")
	l.issue(t, "ClusterSelfSignedIssuer", "http://crl.example.com/cluster-root.crl")
}

// checkIssuers expects the original spec of every issuer.
func (l *life) checkIssuers(t *testing.T) {
	t.Helper()
	for _, made := range read(t, "issuers.yaml") {
		if made.GetKind() == "Namespace" {
			continue
		}
		now := &unstructured.Unstructured{}
		now.SetGroupVersionKind(made.GroupVersionKind())
		expect.NoError(t, l.Client.Get(t.Context(), client.ObjectKeyFromObject(made), now))
		expect.Equal(t, made.GetKind()+" "+made.GetName(), made.Object["spec"], now.Object["spec"])
	}
}

// issue issues a Certificate from the issuer "valid" and checks its revocation list.
func (l *life) issue(t *testing.T, kind, list string) {
	t.Helper()
	certificate := &cmapi.Certificate{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, GenerateName: "certificate-"},
		Spec: cmapi.CertificateSpec{
			CommonName: "example.com", SecretName: fmt.Sprintf("tls-%d", time.Now().UnixNano()),
			PrivateKey: &cmapi.CertificatePrivateKey{Algorithm: cmapi.ECDSAKeyAlgorithm},
			IssuerRef:  cmmeta.IssuerReference{Group: selfsigned.GroupName, Kind: kind, Name: "valid"},
		},
	}
	parsed, err := certtext.Parse(l.CreateCertificate(t, certificate).Data["tls.crt"])
	expect.NoError(t, err)
	expect.Equal(t, "CRL distribution points", []string{list}, parsed.CRLDistributionPoints)
}

// testConflicts changes applied fields, and resolves the conflict as docs/upgrade.md says.
func (l *life) testConflicts(t *testing.T) {
	l.run(t, "set", "resources", "-n", l.Installation.Deployment.Namespace, "deployment/selfsigned-issuer", "--limits=memory=512Mi")
	l.expectConflict(t, overlay, "kubectl-set")
	l.run(t, "apply", "--server-side", "--force-conflicts", "-k", overlay)
	l.expectLimit(t, "256Mi")
	// As if the first installation was by a GitOps tool, and the upgrade by hand.
	l.run(t, "apply", "--server-side", "--force-conflicts", "--field-manager=argocd-controller", "-k", overlay)
	newer := repo.Kustomization(t, `
resources: [%q]
patches:
- target: {kind: Deployment}
  patch: '[{"op":"replace","path":"/spec/template/spec/containers/0/resources/limits/memory","value":"300Mi"}]'
`, "deploy/overlays/default")
	l.expectConflict(t, newer, "argocd-controller")
	l.run(t, "apply", "--server-side", "--force-conflicts", "-k", newer)
	l.expectLimit(t, "300Mi")
}

// expectConflict applies an overlay whose memory limit another manager owns.
func (l *life) expectConflict(t *testing.T, overlay, manager string) {
	t.Helper()
	_, err := l.kubectl.Run(t.Context(), "apply", "--server-side", "-k", overlay)
	if err == nil {
		t.Fatalf("applying %s: want a conflict", overlay)
	}
	for _, want := range []string{"Apply failed with ", `"` + manager + `"`, ".resources.limits.memory"} {
		expect.True(t, strings.Contains(err.Error(), want), "applying %s: %v, want %s", overlay, err, want)
	}
}

func (l *life) expectLimit(t *testing.T, want string) {
	t.Helper()
	deployment := l.Installation.Deployment.DeepCopy()
	l.Get(t, deployment)
	expect.Equal(t, "memory limit", want, deployment.Spec.Template.Spec.Containers[0].Resources.Limits.Memory().String())
}

// removeWithoutIssuers removes everything except for the CRDs, the issuers and the namespace.
func (l *life) removeWithoutIssuers(t *testing.T) {
	l.End(t)
	l.run(t, "delete", "-k", overlay, "-l", keepIssuers)
	l.ExpectRemoved(t, l.Installation.Objects, "CustomResourceDefinition", "Namespace")
	l.checkIssuers(t)
}

// reinstall installs again, with working issuers.
func (l *life) reinstall(t *testing.T) {
	l.startIssuer(t)
	l.issue(t, "SelfSignedIssuer", "http://crl.example.com/root.crl")
}

// removeWithIssuers removes everything except for the certificates.
func (l *life) removeWithIssuers(t *testing.T) {
	l.End(t)
	before := l.secrets(t)
	l.run(t, "delete", "-k", overlay, "--ignore-not-found")
	l.Get(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: l.Installation.Deployment.Namespace}})
	l.run(t, "delete", "-k", "deploy/namespace")
	l.ExpectRemoved(t, l.Installation.Objects)
	err := l.Client.List(t.Context(), &selfsigned.SelfSignedIssuerList{})
	expect.True(t, apierrors.IsNotFound(err), "the CRD is still served: %v", err)
	expect.Equal(t, "Secrets with certificates before and after", before, l.secrets(t))
}

// secrets returns the certificates in the namespace's Secrets.
func (l *life) secrets(t *testing.T) map[string]string {
	t.Helper()
	var list corev1.SecretList
	l.List(t, &list, client.InNamespace(namespace))
	found := map[string]string{}
	for _, secret := range list.Items {
		if secret.Type == corev1.SecretTypeTLS {
			found[secret.Name] = string(secret.Data["tls.crt"])
		}
	}
	expect.Equal(t, "number of issued certificates", 7, len(found))
	return found
}
