// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package certmanager

import (
	"encoding/base64"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/build"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/chart"
)

func renderChart(t *testing.T, address string) []*unstructured.Unstructured {
	t.Helper()
	source, err := findSource(t.Context(), modulePath)
	if err != nil {
		t.Fatal(err)
	}
	objects, err := render(source, address)
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

// The ServiceAccounts of the programs must be those of the chart.
func TestChartCreatesTheServiceAccounts(t *testing.T) {
	for _, minor := range build.CertManager().Minors() {
		t.Run(minor, func(t *testing.T) {
			t.Setenv("CERT_MANAGER", minor)
			checkServiceAccounts(t)
		})
	}
}

func checkServiceAccounts(t *testing.T) {
	t.Helper()
	names := map[string]bool{}
	for _, account := range chart.OfKind(renderChart(t, "127.0.0.1:1"), "ServiceAccount") {
		names[account.GetNamespace()+"/"+account.GetName()] = true
	}
	want := []string{Namespace + "/" + ControllerServiceAccount, Namespace + "/" + WebhookServiceAccount}
	for _, name := range want {
		if !names[name] {
			t.Errorf("no ServiceAccount %s, but %v", name, names)
		}
	}
	if len(names) != len(want) {
		t.Errorf("ServiceAccounts of programs that are not used here: %v", names)
	}
}

func TestWebhooksPointAtTheProgram(t *testing.T) {
	objects := renderChart(t, "127.0.0.1:12345")
	configurations := chart.OfKind(objects, "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")
	if len(configurations) != 2 {
		t.Fatalf("got %d webhook configurations, want 2", len(configurations))
	}
	for i, path := range []string{"/mutate", "/validate"} {
		if err := chart.SetCABundle(configurations[i], []byte("bundle")); err != nil {
			t.Fatal(err)
		}
		webhooks, _, _ := unstructured.NestedSlice(configurations[i].Object, "webhooks")
		client, _, _ := unstructured.NestedMap(webhooks[0].(map[string]any), "clientConfig")
		if want := "https://127.0.0.1:12345" + path; client["url"] != want {
			t.Errorf("url is %v, want %s", client["url"], want)
		}
		if want := base64.StdEncoding.EncodeToString([]byte("bundle")); client["caBundle"] != want {
			t.Errorf("caBundle is %v, want %s", client["caBundle"], want)
		}
	}
}

// Tests that need an object that the webhook would reject use this label.
func TestValidationHasTheNamespaceOptOut(t *testing.T) {
	for _, object := range chart.OfKind(renderChart(t, "127.0.0.1:1"), "ValidatingWebhookConfiguration") {
		var configuration admissionv1.ValidatingWebhookConfiguration
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &configuration); err != nil {
			t.Fatal(err)
		}
		selector := configuration.Webhooks[0].NamespaceSelector
		if selector == nil || len(selector.MatchExpressions) != 1 || selector.MatchExpressions[0].Key != DisableValidationLabel {
			t.Errorf("namespaceSelector is %v, want one on %s", selector, DisableValidationLabel)
		}
	}
}
