// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package policy tests the example policies with the real approver-policy and API server.
package policy

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	cmutil "github.com/cert-manager/cert-manager/pkg/api/util"
	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	selfsigned "github.com/cert-manager/selfsigned-issuer/api/v1alpha1"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/addon"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/build"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/environment"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/issuer"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/manifest"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/repo"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/testenv"
)

const (
	pki   = "pki"
	label = "pki.example.com/cluster-issuers"

	// What users see.
	tooLong    = `No policy approved this request: [roots: spec.constraints.maxDuration: Invalid value: "87601h0m0s": 87600h0m0s]`
	noDuration = `spec.constraints.maxDuration: Invalid value: "nil": 87600h0m0s`
	nameless   = `spec.allowed.commonName.required: Required value`
	notCA      = "No policy approved this request: [leaves: spec.allowed.isCA: Invalid value: true: nil]"
	otherName  = `spec.allowed.dnsNames.validations[0]: Invalid value: "web.other.svc": must be a Service in the namespace of the request`
	rotation   = "A CA of selfsigned-issuer needs spec.privateKey.rotationPolicy: Never."
	commonName = "A CA of selfsigned-issuer needs spec.commonName."
	unlabeled  = `Only namespaces with the label ` + label + `: "true" can use a ClusterSelfSignedIssuer.`
)

// suite is an environment.
type suite struct{ *testenv.Environment }

// TestApproverPolicy has a cert-manager that is not allowed to approve, and the real approver-policy.
func TestApproverPolicy(t *testing.T) {
	env := start(t, "e2e/suites/testdata/no-approver-role")
	approver, err := addon.InstallApproverPolicy(t.Context(), env.ControlPlane, t.Logf,
		"selfsignedissuers.selfsigned.cert-manager.io/*", "clusterselfsignedissuers.selfsigned.cert-manager.io/*")
	expect.NoError(t, err)
	t.Cleanup(func() {
		if err := approver.Stop(); err != nil {
			t.Error(err)
		}
	})
	env.testApproverPolicy(t)
}

// TestAdmissionPolicies runs in sequence: the Certificates exist before the policies.
func TestAdmissionPolicies(t *testing.T) {
	env := start(t, issuer.DefaultOverlay)
	env.CreateCertificate(t, root("old", withoutRotationPolicy))
	env.CreateCertificate(t, leaf("web", nil))
	t.Run("new Certificates", env.testAdmissionPolicy)
	t.Run("existing Certificates", env.testExisting)
	t.Run("Kyverno", env.testKyverno)
}

// start creates the issuers of the policies.
func start(t *testing.T, overlay string) suite {
	t.Helper()
	env := suite{testenv.Start(t, environment.Options{Overlay: overlay})}
	for _, namespace := range []string{pki, testenv.Namespace} {
		env.CreateNamespace(t, namespace)
		env.Create(t, &selfsigned.SelfSignedIssuer{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "roots"}})
	}
	env.Create(t, &selfsigned.ClusterSelfSignedIssuer{ObjectMeta: metav1.ObjectMeta{Name: "leaves"}})
	return env
}

func root(name string, edit func(*cmapi.Certificate)) *cmapi.Certificate {
	return certificate(pki, name, func(c *cmapi.Certificate) {
		c.Spec.IsCA, c.Spec.CommonName = true, name
		c.Spec.Duration = &metav1.Duration{Duration: 10 * 365 * 24 * time.Hour}
		c.Spec.IssuerRef.Kind, c.Spec.IssuerRef.Name = "SelfSignedIssuer", "roots"
	}, edit)
}

func leaf(name string, edit func(*cmapi.Certificate)) *cmapi.Certificate {
	return certificate(testenv.Namespace, name, func(c *cmapi.Certificate) {
		c.Spec.DNSNames = []string{"web." + testenv.Namespace + ".svc"}
		c.Spec.IssuerRef.Kind, c.Spec.IssuerRef.Name = "ClusterSelfSignedIssuer", "leaves"
	}, edit)
}

func certificate(namespace, name string, edits ...func(*cmapi.Certificate)) *cmapi.Certificate {
	c := &cmapi.Certificate{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	c.Spec.SecretName, c.Spec.IssuerRef.Group = name, selfsigned.GroupName
	c.Spec.PrivateKey = &cmapi.CertificatePrivateKey{Algorithm: cmapi.ECDSAKeyAlgorithm, RotationPolicy: cmapi.RotationPolicyNever}
	for _, edit := range edits {
		if edit != nil {
			edit(c)
		}
	}
	return c
}

func withoutCommonName(c *cmapi.Certificate) {
	c.Spec.CommonName, c.Spec.DNSNames = "", []string{"root.example.com"}
}

func withoutRotationPolicy(c *cmapi.Certificate) { c.Spec.PrivateKey.RotationPolicy = "" }

func (env suite) testApproverPolicy(t *testing.T) {
	env.apply(t, "deploy/examples/approver-policy")
	undecided := root("no-policy", func(c *cmapi.Certificate) { c.Namespace = testenv.Namespace })
	env.Create(t, undecided)
	for _, test := range []struct {
		certificate *cmapi.Certificate
		denied      string
	}{
		{root("root", withoutRotationPolicy), ""},
		{root("no-duration", func(c *cmapi.Certificate) { c.Spec.Duration = nil }), noDuration},
		{root("nameless", withoutCommonName), nameless},
		{root("too-long", func(c *cmapi.Certificate) { c.Spec.Duration.Duration += time.Hour }), tooLong},
		{leaf("web", nil), ""},
		{leaf("ca", func(c *cmapi.Certificate) { c.Spec.IsCA = true }), notCA},
		{leaf("other-name", func(c *cmapi.Certificate) { c.Spec.DNSNames = []string{"web.other.svc"} }), otherName},
	} {
		if test.denied == "" {
			env.CreateCertificate(t, test.certificate)
			continue
		}
		env.Create(t, test.certificate)
		env.Await(t, "denial: "+test.denied, test.certificate, func() bool {
			issuing := cmutil.GetCertificateCondition(test.certificate, cmapi.CertificateConditionIssuing)
			return issuing != nil && issuing.Status == cmmeta.ConditionFalse && strings.Contains(issuing.Message, test.denied)
		})
	}
	request := env.requestOf(t, undecided) // approver-policy handles one request at a time
	expect.True(t, len(request.Status.Conditions) == 0, "the request without a policy was decided: %v", request.Status.Conditions)
	expect.True(t, strings.Contains(repo.Read(t, "docs/guides/policy.md"), tooLong), "the page has another message than %s", tooLong)
}

// apply applies the files in a directory.
func (env suite) apply(t *testing.T, directory string) {
	t.Helper()
	objects := read(t, filepath.Join(repo.Root(t), directory, "*.yaml"))
	expect.NoError(t, manifest.Apply(t.Context(), env.ControlPlane.AdminConfig(), objects...))
}

func read(t *testing.T, pattern string) (objects []*unstructured.Unstructured) {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil || len(paths) == 0 {
		t.Fatalf("no files %s, %v", pattern, err)
	}
	for _, path := range paths {
		content, err := os.ReadFile(path)
		expect.NoError(t, err)
		decoded, err := manifest.Decode(content)
		expect.NoError(t, err)
		objects = append(objects, decoded...)
	}
	return objects
}

// requestOf returns the only request of a Certificate.
func (env suite) requestOf(t *testing.T, c *cmapi.Certificate) *cmapi.CertificateRequest {
	t.Helper()
	var list cmapi.CertificateRequestList
	env.List(t, &list, client.InNamespace(c.Namespace))
	for _, request := range list.Items {
		if request.Annotations[cmapi.CertificateNameKey] == c.Name {
			return &request
		}
	}
	t.Fatalf("no request of %s", c.Name)
	return nil
}

func (env suite) testAdmissionPolicy(t *testing.T) {
	env.apply(t, "deploy/examples/admission-policy")
	env.Create(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "labeled", Labels: map[string]string{label: "true"}}})
	env.Create(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "refused", Labels: map[string]string{label: "false"}}})
	env.Eventually(t, "the policies", func(ctx context.Context) error {
		return errors.Join(
			rejected(env.dryRun(ctx, root("new", withoutRotationPolicy)), rotation),
			rejected(env.dryRun(ctx, leaf("new", nil)), unlabeled))
	})
	request := env.requestOf(t, leaf("web", nil))
	for _, test := range []struct {
		object client.Object
		denied string
	}{
		{root("new", nil), ""},
		{root("new", func(c *cmapi.Certificate) { c.Spec.PrivateKey.RotationPolicy = cmapi.RotationPolicyAlways }), rotation},
		{root("new", func(c *cmapi.Certificate) { c.Spec.PrivateKey = nil }), rotation},
		{root("new", withoutCommonName), commonName},
		{certificate(pki, "new", func(c *cmapi.Certificate) { // no CA
			c.Spec.DNSNames, c.Spec.PrivateKey = []string{"example.com"}, nil
			c.Spec.IssuerRef = cmmeta.IssuerReference{Group: selfsigned.GroupName, Kind: "SelfSignedIssuer", Name: "roots"}
		}), ""},
		{root("new", func(c *cmapi.Certificate) { // cert-manager's own issuer
			c.Spec.PrivateKey, c.Spec.IssuerRef = nil, cmmeta.IssuerReference{Name: "roots"}
		}), ""},
		{leaf("new", func(c *cmapi.Certificate) { c.Namespace = "labeled" }), ""},
		{leaf("new", func(c *cmapi.Certificate) { c.Namespace = "refused" }), unlabeled},
		{&cmapi.CertificateRequest{
			ObjectMeta: metav1.ObjectMeta{Namespace: testenv.Namespace, Name: "new"},
			Spec:       cmapi.CertificateRequestSpec{Request: request.Spec.Request, IssuerRef: request.Spec.IssuerRef},
		}, unlabeled},
	} {
		if err := rejected(env.dryRun(t.Context(), test.object), test.denied); err != nil {
			t.Error(err)
		}
	}
}

func (env suite) dryRun(ctx context.Context, object client.Object) error {
	return env.Client.Create(ctx, object, client.DryRunAll)
}

// rejected returns nil if an error has the text, or if both are empty.
func rejected(err error, text string) error {
	if text == "" || err == nil {
		if text != "" {
			return fmt.Errorf("not rejected, want %q", text)
		}
		return err
	}
	if !strings.Contains(err.Error(), text) {
		return fmt.Errorf("%w, want %q", err, text)
	}
	return nil
}

// testExisting has Certificates that are older than the policies, which reject them.
func (env suite) testExisting(t *testing.T) {
	old, web := root("old", nil), leaf("web", nil)
	env.Change(t, old, func() { old.Labels = map[string]string{"edited": "true"} })
	env.Renew(t, old)
	before := *old.Status.Revision
	env.Await(t, "renewal of old", old, func() bool { return *old.Status.Revision > before })
	env.Eventually(t, "rejected change of old", func(ctx context.Context) error {
		env.Get(t, old) // cert-manager may have changed it
		old.Spec.RenewBefore = &metav1.Duration{Duration: 2 * time.Hour}
		return rejected(env.Client.Update(ctx, old), rotation)
	})

	env.Renew(t, web)
	before = *web.Status.Revision
	log := env.CertManager.Process("cert-manager").LogPath()
	env.Eventually(t, "rejected renewal of web", func(context.Context) error {
		if content, err := os.ReadFile(log); err != nil || !strings.Contains(string(content), label) {
			return errors.Join(err, errors.New("not in the log of cert-manager"))
		}
		return nil
	})
	env.Get(t, web)
	expect.True(t, *web.Status.Revision == before, "web was renewed: %v", web.Status)
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: testenv.Namespace}}
	env.Change(t, namespace, func() { namespace.Labels[label] = "true" })
	env.Await(t, "renewal of web", web, func() bool { return *web.Status.Revision > before })
}

// testKyverno compares the policies for Kyverno with those of the API server, and validates them by
// Kyverno's CRD.
func (env suite) testKyverno(t *testing.T) {
	kyverno, err := build.FindModule(t.Context(), "kyverno", "github.com/kyverno/kyverno")
	expect.NoError(t, err)
	crds := read(t, filepath.Join(kyverno.Dir, "config/crds/policies.kyverno.io/policies.kyverno.io_validatingpolicies.yaml"))
	expect.NoError(t, manifest.ApplyCRDs(t.Context(), env.ControlPlane.AdminConfig(), crds...))
	policies := read(t, filepath.Join(repo.Root(t), "deploy/examples/kyverno/*.yaml"))
	expect.NoError(t, manifest.DryRun(t.Context(), env.ControlPlane.AdminConfig(), policies...))
	want := map[string]any{}
	for _, object := range read(t, filepath.Join(repo.Root(t), "deploy/examples/admission-policy/*.yaml")) {
		spec := object.Object["spec"].(map[string]any)
		if object.GroupVersionKind() == admissionv1.SchemeGroupVersion.WithKind("ValidatingAdmissionPolicy") {
			spec["validationActions"] = []any{"Deny"} // of its binding
			want[object.GetName()] = spec
		}
	}
	got := map[string]any{}
	for _, policy := range policies {
		got[policy.GetName()] = policy.Object["spec"]
	}
	expect.Equal(t, "policies for the API server and for Kyverno", want, got)
}
