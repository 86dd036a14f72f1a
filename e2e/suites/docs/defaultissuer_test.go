// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"context"
	"fmt"
	"strings"
	"testing"

	cmutil "github.com/cert-manager/cert-manager/pkg/api/util"
	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	eventsv1 "k8s.io/api/events/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	selfsigned "github.com/cert-manager/selfsigned-issuer/api/v1alpha1"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/certmanager"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/environment"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/testenv"
)

// TestDefaultIssuer runs cert-manager with a ClusterSelfSignedIssuer as its default issuer. The default
// group then also applies to Ingresses that name an issuer without its group. cert-manager v1.21 ignores
// a change of only the group: the Certificate must be deleted.
func TestDefaultIssuer(t *testing.T) {
	env := testenv.Start(t, environment.Options{CertManager: certmanager.Options{
		Controllers: []string{"certificates-*", "certificaterequests-*", "issuers", "clusterissuers", "ingress-shim"},
		Args: []string{
			"--default-issuer-name=default", "--default-issuer-kind=ClusterSelfSignedIssuer", "--default-issuer-group=" + selfsigned.GroupName,
		},
	}})
	env.CreateNamespace(t, testenv.Namespace)
	env.Create(t, &selfsigned.ClusterSelfSignedIssuer{
		ObjectMeta: metav1.ObjectMeta{Name: "default"},
		Spec:       selfsigned.SelfSignedIssuerSpec{EmptySubject: selfsigned.EmptySubjectFill},
	})
	env.Create(t, &cmapi.ClusterIssuer{
		ObjectMeta: metav1.ObjectMeta{Name: "in-tree"},
		Spec:       cmapi.IssuerSpec{IssuerConfig: cmapi.IssuerConfig{SelfSigned: &cmapi.SelfSignedIssuer{}}},
	})
	withGroup := map[string]string{
		"cert-manager.io/issuer": "in-tree", "cert-manager.io/issuer-kind": "ClusterIssuer", "cert-manager.io/issuer-group": "cert-manager.io",
	}
	inTree := cmmeta.IssuerReference{Name: "in-tree", Kind: "ClusterIssuer", Group: "cert-manager.io"}
	expectIssued := func(ingress *networkingv1.Ingress, want cmmeta.IssuerReference) {
		t.Helper()
		certificate := &cmapi.Certificate{ObjectMeta: metav1.ObjectMeta{Namespace: ingress.Namespace, Name: ingress.Name}}
		env.Await(t, ingress.Name, certificate, func() bool {
			return certificate.Spec.IssuerRef == want && cmutil.CertificateHasCondition(certificate, cmapi.CertificateCondition{
				Type: cmapi.CertificateConditionReady, Status: cmmeta.ConditionTrue,
			})
		})
	}

	expectIssued(createIngress(t, env, "default", map[string]string{"kubernetes.io/tls-acme": "true"}),
		cmmeta.IssuerReference{Name: "default", Kind: "ClusterSelfSignedIssuer", Group: selfsigned.GroupName})
	expectIssued(createIngress(t, env, "with-group", withGroup), inTree)

	trapped := createIngress(t, env, "issuer", map[string]string{"cert-manager.io/issuer": "in-tree"})
	awaitKindUnknown(t, env, trapped, "Issuer")
	trapped = createIngress(t, env, "cluster-issuer", map[string]string{"cert-manager.io/cluster-issuer": "in-tree"})
	awaitKindUnknown(t, env, trapped, "ClusterIssuer")

	env.Change(t, trapped, func() { trapped.Annotations = withGroup })
	expectIssued(createIngress(t, env, "later", withGroup), inTree)
	certificate := &cmapi.Certificate{ObjectMeta: metav1.ObjectMeta{Namespace: trapped.Namespace, Name: trapped.Name}}
	env.Get(t, certificate)
	expect.Equal(t, "the group after a change of only the group", selfsigned.GroupName, certificate.Spec.IssuerRef.Group)
	env.Delete(t, certificate)
	// as the garbage collector does
	env.Delete(t, &cmapi.CertificateRequest{ObjectMeta: metav1.ObjectMeta{Namespace: trapped.Namespace, Name: trapped.Name + "-1"}})
	expectIssued(trapped, inTree)
}

// createIngress creates an Ingress whose Secret and Certificate have the same name.
func createIngress(t *testing.T, env *testenv.Environment, name string, annotations map[string]string) *networkingv1.Ingress {
	t.Helper()
	host := name + ".example.com"
	ingress := &networkingv1.Ingress{
		ObjectMeta: metav1.ObjectMeta{Namespace: testenv.Namespace, Name: name, Annotations: annotations},
		Spec: networkingv1.IngressSpec{
			TLS:   []networkingv1.IngressTLS{{Hosts: []string{host}, SecretName: name}},
			Rules: []networkingv1.IngressRule{{Host: host}},
		},
	}
	env.Create(t, ingress)
	return ingress
}

// awaitKindUnknown waits for the event about the request of an Ingress.
func awaitKindUnknown(t *testing.T, env *testenv.Environment, ingress *networkingv1.Ingress, kind string) {
	t.Helper()
	env.Eventually(t, "event of "+ingress.Name, func(ctx context.Context) error {
		var events eventsv1.EventList
		if err := env.Client.List(ctx, &events, client.InNamespace(ingress.Namespace)); err != nil {
			return err
		}
		for _, event := range events.Items {
			if event.Reason == "IssuerKindUnknown" && strings.HasPrefix(event.Regarding.Name, ingress.Name+"-") && strings.Contains(event.Note, fmt.Sprintf("%q", kind)) {
				return nil
			}
		}
		return fmt.Errorf("not among %d events", len(events.Items))
	})
}
