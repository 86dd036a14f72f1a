// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package upgrade

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/issuer"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/repo"
)

// certManager is the namespace of cert-manager, in which external issuers are often installed.
const certManager = "cert-manager"

// testOwnNamespace installs into a shared namespace, with a prefix, and removes the installation:
// other objects are kept.
func (l *life) testOwnNamespace(t *testing.T) {
	root := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: certManager, Name: "root"}, StringData: map[string]string{"tls.key": "precious"}}
	l.Create(t, root)
	before := l.contents(t, certManager)
	overlay := repo.Kustomization(t, "{namespace: cert-manager, namePrefix: team-a-, resources: [%q], components: [%q]}",
		"deploy/overlays/default", "deploy/components/metrics-client-certificate")
	l.run(t, "apply", "--server-side", "-k", overlay)
	t.Run("renewal of the metrics' certificates", func(t *testing.T) { l.testMetricsRenewal(t, overlay) })
	l.run(t, "delete", "-k", overlay, "-l", keepIssuers)
	l.run(t, "delete", "-k", overlay, "--ignore-not-found")
	l.run(t, "delete", "-n", certManager, "--ignore-not-found", "lease/selfsigned-issuer.selfsigned.cert-manager.io",
		"secret/selfsigned-issuer-metrics-ca", "secret/selfsigned-issuer-metrics-tls", "secret/selfsigned-issuer-metrics-client")
	l.Eventually(t, "the content of the namespace", func(context.Context) error { return expect.NoDiff(before, l.contents(t, certManager)) })
	l.Get(t, root)
	expect.Equal(t, "root", "precious", string(root.Data["tls.key"]))
}

// contents lists the objects in a namespace, and the namespace with its UID and labels.
func (l *life) contents(t *testing.T, name string) []string {
	t.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	l.Get(t, namespace)
	found := []string{fmt.Sprint(namespace.UID, namespace.DeletionTimestamp, namespace.Labels, namespace.Annotations)}
	for _, kind := range []string{
		"v1/Secret", "v1/ConfigMap", "v1/Service", "v1/ServiceAccount", "apps/v1/Deployment", "coordination.k8s.io/v1/Lease",
		"rbac.authorization.k8s.io/v1/Role", "rbac.authorization.k8s.io/v1/RoleBinding",
		"cert-manager.io/v1/Issuer", "cert-manager.io/v1/Certificate", "cert-manager.io/v1/CertificateRequest",
	} {
		slash := strings.LastIndex(kind, "/")
		list := &unstructured.UnstructuredList{}
		list.SetAPIVersion(kind[:slash])
		list.SetKind(kind[slash+1:] + "List")
		expect.NoError(t, l.Client.List(t.Context(), list, client.InNamespace(name)))
		for _, object := range list.Items {
			found = append(found, kind+" "+object.GetName())
		}
	}
	slices.Sort(found)
	return found
}

// startOverlay starts the program of an overlay that kubectl has applied, with a directory instead
// of the mounted Secret of the metrics.
func (l *life) startOverlay(t *testing.T, overlay, mount string) *issuer.Replica {
	t.Helper()
	installed, err := issuer.Find(l.ControlPlane, overlay)
	expect.NoError(t, err)
	var args []string
	for _, arg := range installed.Deployment.Spec.Template.Spec.Containers[0].Args {
		if strings.Contains(arg, mounted) {
			args = append(args, strings.ReplaceAll(arg, mounted, mount))
		}
	}
	p, err := installed.Start(t.Context(), l.Binary, "selfsigned-issuer-own-namespace", args...)
	expect.NoError(t, err)
	t.Cleanup(func() { expect.NoError(t, p.Stop(10*time.Second)) })
	expect.NoError(t, p.AwaitReady(t.Context()))
	return p
}
