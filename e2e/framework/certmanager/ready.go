// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package certmanager

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// pollInterval is how often a condition is looked at that the API server cannot be asked to
// watch.
const pollInterval = 50 * time.Millisecond

// logLines is how much of its log a process is reported with that does not get ready.
const logLines = 10

// waitReady waits until the controllers' caches have synced and both webhooks do their work.
// It fails at once when a process ends.
func (i *Installation) waitReady(ctx context.Context) error {
	api, err := client.New(i.cluster.AdminConfig(), client.Options{})
	if err != nil {
		return err
	}
	for _, c := range i.children {
		for _, check := range c.checks(api) {
			if err := poll(ctx, i.Err, check); err != nil {
				return fmt.Errorf("%s is not ready: %w; the last lines of %s:\n%s", c.Name(), err, c.LogPath(), c.Tail(logLines))
			}
		}
	}
	return nil
}

// checks are what has to succeed before the process is ready.
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

// poll calls the check until it succeeds. It gives up when the context ends, and then tells
// what the check said last, or when fatal returns an error.
func poll(ctx context.Context, fatal func() error, check func(context.Context) error) error {
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	var last error
	for {
		err := check(ctx)
		if err == nil {
			return nil
		}
		if last == nil || ctx.Err() == nil { // what the end of the time cut off says less
			last = err
		}
		if err := fatal(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w (%w)", last, context.Cause(ctx))
		case <-ticker.C:
		}
	}
}

func never() error { return nil }

// healthy asks a process whether its controllers' caches have synced.
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

// mutates succeeds when the mutating webhook records who made a CertificateRequest. The object
// has to be one that the validating webhook lets through.
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

// validates succeeds when the validating webhook refuses a Certificate without any name, which
// the CRD's schema allows.
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
