// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package certmanager

import (
	"encoding/base64"
	"fmt"
	"net"
	"os"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/util/cert"
)

// servingFiles are the PEM files that the webhook serves with.
type servingFiles struct{ cert, key string }

// writeServingCertificate makes a CA and a certificate for the host of the address, and writes
// what the webhook needs. It returns the certificates that a client has to trust.
func writeServingCertificate(address string, files servingFiles) (caBundle []byte, err error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	certificates, key, err := cert.GenerateSelfSignedCertKey(host, nil, nil)
	if err != nil {
		return nil, fmt.Errorf("cannot make the webhook's serving certificate: %w", err)
	}
	if err := os.WriteFile(files.cert, certificates, 0o600); err != nil {
		return nil, err
	}
	return certificates, os.WriteFile(files.key, key, 0o600)
}

// setCABundle does what cert-manager's cainjector does in a user's cluster.
func setCABundle(configuration *unstructured.Unstructured, caBundle []byte) error {
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
		encoded := base64.StdEncoding.EncodeToString(caBundle)
		if err := unstructured.SetNestedField(fields, encoded, "clientConfig", "caBundle"); err != nil {
			return err
		}
	}
	return unstructured.SetNestedSlice(configuration.Object, webhooks, "webhooks")
}
