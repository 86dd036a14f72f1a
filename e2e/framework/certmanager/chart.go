// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package certmanager

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/build"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/chart"
)

// Namespace is where cert-manager is installed, as its documentation does it.
const Namespace = "cert-manager"

// DisableValidationLabel on a namespace, with the value "true", keeps cert-manager's
// validating webhook away from the objects in it.
const DisableValidationLabel = "cert-manager.io/disable-validation"

// The ServiceAccounts that the chart creates in Namespace.
const (
	ControllerServiceAccount = "cert-manager"
	WebhookServiceAccount    = "cert-manager-webhook"
)

// render returns what the Helm chart creates with its default values, but for the programs
// that do not run here and for the webhook, which listens on webhookAddress (host:port)
// instead of behind a Service.
func render(source build.Module, webhookAddress string) ([]*unstructured.Unstructured, error) {
	return chart.Release{Name: "cert-manager", Namespace: Namespace, Values: map[string]any{
		"cainjector":      map[string]any{"enabled": false},
		"startupapicheck": map[string]any{"enabled": false},
		"webhook":         map[string]any{"url": map[string]any{"host": webhookAddress}},
	}}.Render(source)
}
