// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package certmanager

import (
	"context"
	"strings"
	"testing"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
)

// approverUser is the user name of cert-manager's controllers.
const approverUser = "system:serviceaccount:" + Namespace + ":" + ControllerServiceAccount

func TestInTreeSelfSignedCertificateBecomesReady(t *testing.T) {
	t.Parallel()
	issueInTree(t, shared.admin)
}

// issueInTree issues a Certificate from cert-manager's SelfSigned issuer and checks the work of
// each part of cert-manager.
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

// The most reported problem of external issuers: cert-manager does not approve requests without the
// permission to approve for their signer.
func TestApprovalNeedsPermission(t *testing.T) {
	t.Parallel()
	c := startCluster(t) // its own, because permissions and CRDs apply to all namespaces
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
	// The approver retries after 5 s, then after 10 s, and so on.
	eventually(t, admin, ours, func() bool { return approvedReason(ours) == "cert-manager.io" })
}

// requireApprovalRefused approves with the approver's credentials.
func requireApprovalRefused(t *testing.T, approver client.Client, request *cmapi.CertificateRequest) {
	t.Helper()
	attempt := request.DeepCopy()
	attempt.Status.Conditions = []cmapi.CertificateRequestCondition{{
		Type: cmapi.CertificateRequestConditionApproved, Status: cmmeta.ConditionTrue, Reason: "Test", Message: "Test",
	}}
	err := approver.Status().Update(t.Context(), attempt)
	want := `user "` + approverUser + `" does not have permissions to set approved/denied conditions`
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Fatalf("approving without permission: got error %v, want one with %q", err, want)
	}
}

// requireNotApproved waits until the approver has approved a later request, and checks that it has
// not approved this one.
func requireNotApproved(t *testing.T, admin client.Client, request *cmapi.CertificateRequest) {
	t.Helper()
	later := certificateRequest(t, request.Namespace, "later", cmmeta.IssuerReference{
		Group: "cert-manager.io", Kind: "Issuer", Name: "any",
	})
	expect.Create(t, admin, later)
	eventually(t, admin, later, func() bool { return approvedReason(later) != "" })

	expect.Get(t, admin, request)
	if len(request.Status.Conditions) > 0 {
		t.Fatalf("a request that may not be approved has conditions %v", request.Status.Conditions)
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
	labeled := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
	patch := client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"labels":{"`+DisableValidationLabel+`":"true"}}}`))
	if err := shared.admin.Patch(t.Context(), labeled, patch); err != nil {
		t.Fatal(err)
	}
	// The API server receives the label through a watch.
	err := expect.Poll(t.Context(), timeout, func(ctx context.Context) error {
		certificate := inTreeCertificate(namespace)
		certificate.Spec.PrivateKey = &cmapi.CertificatePrivateKey{Algorithm: cmapi.RSAKeyAlgorithm, Size: 1024}
		return shared.admin.Create(ctx, certificate, client.DryRunAll)
	})
	if err != nil {
		t.Errorf("an invalid Certificate is rejected although validation is disabled: %v", err)
	}
}

// cert-manager that is started first is not ready until the CRDs exist. Here, controllers and
// webhook are separate processes.
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

// requireStartFails expects an error with all texts from Start.
func requireStartFails(t *testing.T, installation *Installation, texts ...string) {
	t.Helper()
	buildProgram(t) // may take minutes, which are not part of the timeout
	ctx, cancel := context.WithTimeout(t.Context(), negativeTimeout)
	defer cancel()
	err := installation.Start(ctx)
	for _, text := range texts {
		if err == nil || !strings.Contains(err.Error(), text) {
			t.Fatalf("got error %v, want one with %q", err, text)
		}
	}
	if installation.Process("cert-manager").Running() {
		t.Error("a process runs after a failed start")
	}
}

func requireNoError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}
