// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package certmanager

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/build"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/chart"
)

// Namespace is the namespace of cert-manager, as in its documentation.
const Namespace = "cert-manager"

// DisableValidationLabel with the value "true" exempts a namespace from cert-manager's validating
// webhook.
const DisableValidationLabel = "cert-manager.io/disable-validation"

// The ServiceAccounts that the chart creates in Namespace.
const (
	ControllerServiceAccount = "cert-manager"
	WebhookServiceAccount    = "cert-manager-webhook"
)

// render returns the objects of the Helm chart with default values, except that programs that are
// not used here are disabled, and that the webhook is at webhookAddress (host:port) instead of
// behind a Service.
func render(source build.Module, webhookAddress string) ([]*unstructured.Unstructured, error) {
	return chart.Release{Name: "cert-manager", Namespace: Namespace, Values: map[string]any{
		"cainjector":      map[string]any{"enabled": false},
		"startupapicheck": map[string]any{"enabled": false},
		"webhook":         map[string]any{"url": map[string]any{"host": webhookAddress}},
	}}.Render(source)
}
