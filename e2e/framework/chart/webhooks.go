// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"encoding/base64"
	"fmt"
	"net"
	"os"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/util/cert"
)

// ServingFiles are the PEM files of a webhook server.
type ServingFiles struct{ Cert, Key string }

// Write creates and writes a CA and a certificate for the host of the address. It returns the
// certificates that clients must trust.
func (files ServingFiles) Write(address string) (caBundle []byte, err error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	certificates, key, err := cert.GenerateSelfSignedCertKey(host, nil, nil)
	if err != nil {
		return nil, fmt.Errorf("cannot make the webhook's serving certificate: %w", err)
	}
	if err := os.WriteFile(files.Cert, certificates, 0o600); err != nil {
		return nil, err
	}
	return certificates, os.WriteFile(files.Key, key, 0o600)
}

// SetCABundle sets the CA bundle, as cert-manager's cainjector does in a user's cluster.
func SetCABundle(configuration *unstructured.Unstructured, caBundle []byte) error {
	return eachClient(configuration, func(client map[string]any) {
		client["caBundle"] = base64.StdEncoding.EncodeToString(caBundle)
	})
}

// Redirect points webhooks that are behind a Service at address (host:port) instead.
func Redirect(configuration *unstructured.Unstructured, address string) error {
	return eachClient(configuration, func(client map[string]any) {
		if service, ok := client["service"].(map[string]any); ok {
			client["url"] = fmt.Sprintf("https://%s%s", address, service["path"])
			delete(client, "service")
		}
	})
}

// eachClient changes the clientConfig of each webhook in a configuration.
func eachClient(configuration *unstructured.Unstructured, change func(client map[string]any)) error {
	webhooks, _, err := unstructured.NestedSlice(configuration.Object, "webhooks")
	if err != nil {
		return err
	}
	if len(webhooks) == 0 {
		return fmt.Errorf("%s %s has no webhooks", configuration.GetKind(), configuration.GetName())
	}
	for _, webhook := range webhooks {
		fields, ok := webhook.(map[string]any)
		if !ok {
			return fmt.Errorf("%s %s has a malformed webhook", configuration.GetKind(), configuration.GetName())
		}
		client, ok := fields["clientConfig"].(map[string]any)
		if !ok {
			return fmt.Errorf("%s %s has a webhook without clientConfig", configuration.GetKind(), configuration.GetName())
		}
		change(client)
	}
	return unstructured.SetNestedSlice(configuration.Object, webhooks, "webhooks")
}
