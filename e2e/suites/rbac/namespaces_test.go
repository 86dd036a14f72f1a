// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package rbac

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	selfsigned "github.com/cert-manager/selfsigned-issuer/api/v1alpha1"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/issuer"
)

const (
	// servedWithin is how long a namespace may not be served after its permissions exist.
	servedWithin = 30 * time.Second
	// readyWithin is how long a missing namespace may delay the start.
	readyWithin = 20 * time.Second
)

// everything is the list of permissions of an installation in a namespace.
const everything = "list certificaterequests.cert-manager.io, list selfsignedissuers.selfsigned.cert-manager.io, list secrets"

// tenant is a selected namespace in addition to sandbox.
type tenant struct {
	name    string
	role    *rbacv1.Role
	binding *rbacv1.RoleBinding
}

// newTenant returns a tenant that does not exist, with the Role and RoleBinding of the overlay.
func newTenant(t *testing.T, installed *issuer.Installation) *tenant {
	t.Helper()
	b := &tenant{name: newName("tenant"), role: &rbacv1.Role{}, binding: &rbacv1.RoleBinding{}}
	for _, object := range installed.Objects {
		var into client.Object
		switch {
		case object.GetNamespace() != sandbox:
			continue
		case object.GetKind() == "Role":
			into = b.role
		case object.GetKind() == "RoleBinding":
			into = b.binding
		default:
			continue
		}
		expect.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, into))
		into.SetNamespace(b.name)
	}
	return b
}

// TestNamespaceAddedAndRemoved selects sandbox and another namespace. The permissions of the
// latter, and the namespace itself, are missing in turn. sandbox is served throughout, also after a
// restart, and the other one as soon as possible.
func TestNamespaceAddedAndRemoved(t *testing.T) {
	installed := install(t, issuer.NamespacedOverlay)
	b := newTenant(t, installed)
	startBeside(t, installed, b)
	b.expectLeftOut(t, everything, 1)
	issueIn(t, sandbox)

	// The namespace is created, and the overlay is applied again.
	b.create(t)
	b.awaitServed(t)
	issueIn(t, b.name)

	// Only the RoleBinding is removed.
	remove(t, b.binding)
	b.expectLeftOut(t, everything, 2)
	issueIn(t, sandbox)
	env.End(t)
	startBeside(t, installed, b)
	b.expectLeftOut(t, everything, 3)
	issueIn(t, sandbox)

	// Only Secrets are missing.
	b.grantSecrets(t, "get")
	env.Create(t, b.binding.DeepCopy())
	b.expectLeftOut(t, "list secrets", 4)
	b.grantSecrets(t, "get", "list")
	b.expectLeftOut(t, "watch secrets", 5)
	b.grantSecrets(t, "get", "list", "watch")
	b.awaitServed(t)
	issueIn(t, b.name)

	// The namespace is deleted with a pending request, and created again.
	csr, _ := newCSR(t)
	awaitReason(t, newRequest(t, b.name, "SelfSignedIssuer", csr), cmapi.CertificateRequestReasonPending)
	b.delete(t)
	issueIn(t, sandbox)
	b.expectLeftOut(t, everything, 6)
	issueIn(t, sandbox)
	b.create(t)
	b.awaitServed(t)
	issueIn(t, b.name)

	// It is created again before the next check of its permissions.
	b.delete(t)
	b.create(t)
	issueIn(t, b.name)
	issueIn(t, sandbox)
}

func (b *tenant) create(t *testing.T) {
	t.Helper()
	env.CreateNamespace(t, b.name)
	env.Create(t, b.role.DeepCopy())
	env.Create(t, b.binding.DeepCopy())
}

// delete deletes the namespace. Because there is no namespace controller, it also deletes its
// objects, the permissions first, and finalizes it.
func (b *tenant) delete(t *testing.T) {
	t.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: b.name}}
	remove(t, namespace)
	for _, object := range []client.Object{
		&rbacv1.RoleBinding{}, &rbacv1.Role{}, &selfsigned.SelfSignedIssuer{}, &corev1.Secret{}, &cmapi.CertificateRequest{},
	} {
		expect.NoError(t, env.Client.DeleteAllOf(t.Context(), object, client.InNamespace(b.name)))
	}
	env.Get(t, namespace)
	namespace.Spec.Finalizers = nil
	expect.NoError(t, env.Client.SubResource("finalize").Update(t.Context(), namespace))
	err := env.Client.Get(t.Context(), client.ObjectKeyFromObject(namespace), namespace)
	expect.True(t, apierrors.IsNotFound(err), "the namespace is still there: %v", err)
}

// startBeside starts a process that selects both namespaces. It is ready without the missing one.
func startBeside(t *testing.T, installed *issuer.Installation, b *tenant) {
	t.Helper()
	begin := time.Now()
	run(t, installed, "--namespaces="+b.name)
	expect.NoError(t, env.Issuer.AwaitReady(t.Context()))
	took := time.Since(begin)
	expect.True(t, took <= readyWithin, "ready after %s, want at most %s", took, readyWithin)
}

func issueIn(t *testing.T, namespace string) {
	t.Helper()
	t.Run("issue in "+strings.TrimRight(namespace, "-0123456789"), func(t *testing.T) {
		useIssuer(t, namespace)
		requestCertificate(t, namespace, "SelfSignedIssuer")
	})
}

func (b *tenant) grantSecrets(t *testing.T, verbs ...string) {
	t.Helper()
	role := b.role.DeepCopy()
	env.Change(t, role, func() {
		for i, rule := range role.Rules {
			if rule.Resources[0] == "secrets" {
				role.Rules[i].Verbs = verbs
			}
		}
	})
}

// expectLeftOut waits until the ready process reports in its probe, metrics and log that the
// namespace is not served. lines is the number of such lines in the log, which is kept after a
// restart.
func (b *tenant) expectLeftOut(t *testing.T, permissions string, lines int) {
	t.Helper()
	line := fmt.Sprintf("Namespace %s is not served: selfsigned-issuer is not allowed to %s there. "+
		"Create the namespace with the Role and the RoleBinding selfsigned-issuer-manager, or remove it from --namespaces.", b.name, permissions)
	awaitReadiness(t, "a namespace that is not served", func(body string) bool { return strings.Contains(body, line) })
	b.expectMetric(t, 0)
	log := env.Issuer.Tail(10000)
	got := strings.Count(log, "Namespace "+b.name+" is not served")
	expect.True(t, got == lines && strings.Contains(log, line), "the log has %d lines about it, want %d:\n%s", got, lines, log)
	expect.True(t, !strings.Contains(log, "is forbidden: User"), "the caches also log errors:\n%s", log)
}

func (b *tenant) awaitServed(t *testing.T) {
	t.Helper()
	begin := time.Now()
	awaitReadiness(t, "a namespace that is served", func(body string) bool { return !strings.Contains(body, b.name) })
	took := time.Since(begin)
	expect.True(t, took <= servedWithin, "served after %s, want at most %s", took, servedWithin)
	b.expectMetric(t, 1)
}

func awaitReadiness(t *testing.T, what string, wanted func(body string) bool) {
	t.Helper()
	env.Eventually(t, what, func(ctx context.Context) error {
		status, body := issuer.Get(ctx, env.Issuer.HealthURL+"/readyz?verbose")
		if status != http.StatusOK || !wanted(body) {
			return fmt.Errorf("/readyz?verbose returns %d %s", status, body)
		}
		return nil
	})
}

func (b *tenant) expectMetric(t *testing.T, value int) {
	t.Helper()
	want := fmt.Sprintf("selfsigned_issuer_namespace_served{served_namespace=%q} %d\n", b.name, value)
	env.Eventually(t, "the metric", func(ctx context.Context) error {
		if _, body := issuer.Get(ctx, env.Issuer.MetricsURL+"/metrics"); !strings.Contains(body, want) {
			return errors.New("no " + want + "in " + body)
		}
		return nil
	})
}
