// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"context"
	"testing"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
)

// TestOneCertificatePerRequest edits signed requests and restarts the plugin: none of them is
// ever written again. It must not run beside other tests, which would wait for the restart.
func TestOneCertificatePerRequest(t *testing.T) {
	namespace, key := newNamespace(t), newKey(t)
	createKeySecret(t, namespace, key)
	requests := make([]*cmapi.CertificateRequest, 10)
	for i := range requests {
		requests[i] = newRequest(t, namespace, key)
		create(t, requests[i])
	}
	for i, request := range requests {
		checkIssued(t, request)
		if i%2 == 0 {
			edit(t, request)
		}
	}
	restartPlugin(t)
	barrier(t, namespace, key)
	for _, request := range requests {
		before := request.DeepCopy()
		get(t, request)
		if request.ResourceVersion != before.ResourceVersion {
			t.Errorf("%s was written again: %+v", request.Name, request.Status)
		}
		checkEvents(t, request, "CertificateIssued")
	}
}

// edit changes a label and an annotation, as any tool may.
func edit(t *testing.T, request *cmapi.CertificateRequest) {
	t.Helper()
	await(t, "editing "+request.Name, func(ctx context.Context) string {
		get(t, request)
		request.Labels = map[string]string{"edited": "true"}
		request.Annotations["edited"] = "true"
		if err := env.Client.Update(ctx, request); err != nil {
			return err.Error()
		}
		return ""
	})
}

// restartPlugin kills the plugin as an eviction does at worst, and starts another replica.
// What the killed one held as leader runs out first.
func restartPlugin(t *testing.T) {
	t.Helper()
	if err := env.Plugin.Kill(); err != nil {
		t.Fatal(err)
	}
	replica, err := env.Installation.Start(t.Context(), env.Binary, "selfsigned-issuer", pluginArgs...)
	if err != nil {
		t.Fatal(err)
	}
	env.Plugin = replica
	if err := replica.AwaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
}
