// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"strings"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/cert-manager/selfsigned-issuer/controllers/internal/testsupport"
)

// TestMetricsOfOneRequest reconciles a request, and again when it is finished.
func TestMetricsOfOneRequest(t *testing.T) {
	t.Parallel()
	f := newFixture(t, interceptor.Funcs{})
	for range 2 {
		if _, err := f.reconcile(); err != nil {
			t.Fatal(err)
		}
	}
	text := testsupport.Scrape(t, f.reconciler.metrics)
	for _, want := range []string{
		`selfsigned_issuer_requests_total{kind="CertificateRequest",reason="CertificateIssued",result="issued"} 1`,
		`selfsigned_issuer_sign_duration_seconds_count 1`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in:\n%s", want, text)
		}
	}
}
