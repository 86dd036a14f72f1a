// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package certmanager

import (
	"context"
	"strings"
	"testing"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// approverUser is who the API server sees when cert-manager's controllers call.
const approverUser = "system:serviceaccount:" + Namespace + ":" + ControllerServiceAccount

func TestInTreeSelfSignedCertificateBecomesReady(t *testing.T) {
	t.Parallel()
	issueInTree(t, shared.admin)
}

// issueInTree issues a Certificate from cert-manager's own SelfSigned issuer and checks that
// every part of cert-manager did its work.
func issueInTree(t *testing.T, admin client.Client) {
	t.Helper()
	namespace := expect.NewNamespace(t, admin)
	expect.Create(t, admin, inTreeIssuer(namespace))
	certificate := inTreeCertificate(namespace)
	expect.Create(t, admin, certificate)

	eventually(t, admin, certificate, func() bool { return certificateReady(certificate) })

	request := &cmapi.CertificateRequest{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: certificate.Name + "-1"}}
	expect.Get(t, admin, request)
	if request.Spec.Username != approverUser {
		t.Errorf("the mutating webhook recorded user %q, want %q", request.Spec.Username, approverUser)
	}
	if reason := approvedReason(request); reason != "cert-manager.io" {
		t.Errorf("approved with reason %q, want that of cert-manager's approver", reason)
	}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: certificate.Spec.SecretName}}
	expect.Get(t, admin, secret)
	if ca, leaf := string(secret.Data[cmmeta.TLSCAKey]), string(secret.Data[corev1.TLSCertKey]); ca == "" || ca != leaf {
		t.Errorf("ca.crt of a self-signed certificate is %q, want tls.crt, %q", ca, leaf)
	}
}

// The most reported fault of external issuers: cert-manager approves nothing for a signer that
// it was not given the right to approve for.
func TestApprovalNeedsTheRightToApprove(t *testing.T) {
	t.Parallel()
	c := startCluster(t) // its own: rights and CRDs hold for all namespaces
	install(t, c)
	admin := newClient(t, c.AdminConfig())
	namespace := expect.NewNamespace(t, admin)
	createIssuerCRDs(t, admin)
	ours := certificateRequest(t, namespace, "ours", cmmeta.IssuerReference{
		Group: issuerGroup, Kind: "SelfSignedIssuer", Name: "any",
	})
	expect.Create(t, admin, ours)

	requireApprovalRefused(t, approverClient(t, c), ours)
	requireNotApproved(t, admin, ours)

	grantApproval(t, admin)
	// The approver tries a refused request again after 5 s, then after twice that, and so on.
	eventually(t, admin, ours, func() bool { return approvedReason(ours) == "cert-manager.io" })
}

// requireApprovalRefused tries what the approver does, with the approver's own credentials.
func requireApprovalRefused(t *testing.T, approver client.Client, request *cmapi.CertificateRequest) {
	t.Helper()
	attempt := request.DeepCopy()
	attempt.Status.Conditions = []cmapi.CertificateRequestCondition{{
		Type: cmapi.CertificateRequestConditionApproved, Status: cmmeta.ConditionTrue, Reason: "Test", Message: "Test",
	}}
	err := approver.Status().Update(t.Context(), attempt)
	want := `user "` + approverUser + `" does not have permissions to set approved/denied conditions`
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Fatalf("approving without the right: got error %v, want one with %q", err, want)
	}
}

// requireNotApproved lets the approver work off a later request, and checks that it left this
// one alone.
func requireNotApproved(t *testing.T, admin client.Client, request *cmapi.CertificateRequest) {
	t.Helper()
	later := certificateRequest(t, request.Namespace, "later", cmmeta.IssuerReference{
		Group: "cert-manager.io", Kind: "Issuer", Name: "any",
	})
	expect.Create(t, admin, later)
	eventually(t, admin, later, func() bool { return approvedReason(later) != "" })

	expect.Get(t, admin, request)
	if len(request.Status.Conditions) > 0 {
		t.Fatalf("a request for a signer without the right has conditions %v", request.Status.Conditions)
	}
}

func TestWebhookRefusesAnInvalidCertificate(t *testing.T) {
	t.Parallel()
	namespace := expect.NewNamespace(t, shared.admin)
	certificate := inTreeCertificate(namespace)
	certificate.Spec.PrivateKey = &cmapi.CertificatePrivateKey{Algorithm: cmapi.RSAKeyAlgorithm, Size: 1024}

	err := shared.admin.Create(t.Context(), certificate)

	want := `admission webhook "webhook.cert-manager.io" denied the request: spec.privateKey.size: Invalid value: 1024`
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got error %v, want one with %q", err, want)
	}
}

func TestNamespaceCanOptOutOfValidation(t *testing.T) {
	t.Parallel()
	namespace := expect.NewNamespace(t, shared.admin)
	labelled := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
	patch := client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"labels":{"`+DisableValidationLabel+`":"true"}}}`))
	if err := shared.admin.Patch(t.Context(), labelled, patch); err != nil {
		t.Fatal(err)
	}
	// The API server's webhook code sees the label when its watch does.
	err := poll(waitContext(t), never, func(ctx context.Context) error {
		certificate := inTreeCertificate(namespace)
		certificate.Spec.PrivateKey = &cmapi.CertificatePrivateKey{Algorithm: cmapi.RSAKeyAlgorithm, Size: 1024}
		return shared.admin.Create(ctx, certificate, client.DryRunAll)
	})
	if err != nil {
		t.Errorf("an invalid Certificate was refused where validation is off: %v", err)
	}
}

// What a user meets who starts cert-manager first: nothing is ready until the CRDs are there.
// The controllers and the webhook are in processes of their own here.
func TestStepsAndProcessesApart(t *testing.T) {
	t.Parallel()
	selfSigned := "certificaterequests-issuer-selfsigned"
	c := startCluster(t)
	installation, err := New(t.Context(), c, Options{OwnProcess: []string{selfSigned}, WebhookApart: true, Report: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	step(t, installation.InstallRBAC)
	step(t, installation.InstallWebhooks)
	requireStartFails(t, installation, "cert-manager is not ready: the controllers' caches have not synced",
		"the server could not find the requested resource (get certificaterequests.cert-manager.io)")

	step(t, installation.InstallCRDs)
	step(t, installation.Start)
	t.Cleanup(func() { requireNoError(t, installation.Stop()) })

	for _, name := range []string{"cert-manager", "cert-manager-" + selfSigned, "cert-manager-webhook"} {
		if p := installation.Process(name); p == nil || !p.Running() {
			t.Errorf("process %s is not running", name)
		}
	}
	issueInTree(t, newClient(t, c.AdminConfig()))
}

func TestStartReportsAProcessThatEnds(t *testing.T) {
	t.Parallel()
	installation, err := New(t.Context(), shared.cluster, Options{Controllers: []string{"bogus"}, Report: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	requireStartFails(t, installation, "cert-manager ended unexpectedly (exit status 2)",
		`--controllers: no controller is called "bogus"`)
}

// requireStartFails starts what cannot become ready, and wants an error with all the texts.
func requireStartFails(t *testing.T, installation *Installation, texts ...string) {
	t.Helper()
	buildProgram(t) // may take minutes, which must not count
	ctx, cancel := context.WithTimeout(t.Context(), impatience)
	defer cancel()
	err := installation.Start(ctx)
	for _, text := range texts {
		if err == nil || !strings.Contains(err.Error(), text) {
			t.Fatalf("got error %v, want one with %q", err, text)
		}
	}
	if installation.Process("cert-manager").Running() {
		t.Error("a failed start leaves a process behind")
	}
}

func requireNoError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}
