// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package certmanager

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// waitReady waits until the controllers' caches have synced and both webhooks work. It fails if a
// process ends.
func (i *Installation) waitReady(ctx context.Context) error {
	api, err := client.New(i.cluster.AdminConfig(), client.Options{})
	if err != nil {
		return err
	}
	for _, c := range i.children {
		for _, check := range c.checks(api) {
			if err := c.Await(ctx, check); err != nil {
				return err
			}
		}
	}
	return nil
}

// checks must succeed before the process is ready.
func (c child) checks(api client.Client) []func(context.Context) error {
	var checks []func(context.Context) error
	if c.webhook {
		checks = append(checks,
			func(ctx context.Context) error { return mutates(ctx, api) },
			func(ctx context.Context) error { return validates(ctx, api) })
	}
	if c.health != "" {
		checks = append(checks, func(ctx context.Context) error { return healthy(ctx, c.health) })
	}
	return checks
}

// healthy succeeds if the controllers' caches of a process have synced.
func healthy(ctx context.Context, address string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/readyz", nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("the controllers' caches have not synced: %s", response.Status)
	}
	return nil
}

// mutates succeeds if the mutating webhook sets the author of a CertificateRequest, which must be valid.
func mutates(ctx context.Context, c client.Client) error {
	request, err := probeRequest()
	if err != nil {
		return err
	}
	if err := c.Create(ctx, request, client.DryRunAll); err != nil {
		return err
	}
	username, _, err := unstructured.NestedString(request.Object, "spec", "username")
	if err == nil && username == "" {
		err = errors.New("the API server does not call the mutating webhook yet")
	}
	return err
}

// validates succeeds if the validating webhook rejects a Certificate without a name, which the
// CRD's schema allows.
func validates(ctx context.Context, c client.Client) error {
	err := c.Create(ctx, probeObject("Certificate", map[string]any{
		"secretName": "readiness-probe",
		"issuerRef":  map[string]any{"name": "readiness-probe"},
	}), client.DryRunAll)
	if err == nil {
		return errors.New("the API server does not call the validating webhook yet")
	}
	if !strings.Contains(err.Error(), "denied the request") {
		return err
	}
	return nil
}
