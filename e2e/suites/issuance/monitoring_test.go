// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package issuance_test

import (
	"context"
	"fmt"
	"math"
	"os/exec"
	"slices"
	"testing"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/monitoring"
)

// TestMonitoring scrapes selfsigned-issuer with Prometheus: every query of the dashboard returns
// data, and every alert can be evaluated.
func TestMonitoring(t *testing.T) {
	prometheus := startPrometheus(t)
	awaitQuery(t, prometheus, `selfsigned_issuer_requests_total{reason="MissingAnnotation"}`)
	makeTraffic(t)
	queries, err := monitoring.Queries()
	if err != nil {
		t.Fatal(err)
	}
	if len(queries) < 10 {
		t.Errorf("the dashboard has only %d queries", len(queries))
	}
	for _, query := range queries {
		values := awaitQuery(t, prometheus, query.Expr)
		t.Logf("%s: %v", query.Panel, values)
	}
	alerts, err := monitoring.Alerts()
	if err != nil {
		t.Fatal(err)
	}
	env.Eventually(t, "the alerts", func(ctx context.Context) error {
		health, err := prometheus.RuleHealth(ctx)
		if err != nil {
			return err
		}
		for _, alert := range alerts {
			if health[alert.Alert] != "ok" {
				return fmt.Errorf("%s: %s", alert.Alert, health[alert.Alert])
			}
		}
		return nil
	})
}

func startPrometheus(t *testing.T) *monitoring.Prometheus {
	t.Helper()
	program, err := exec.LookPath("prometheus")
	if err != nil {
		t.Skipf("the dashboard cannot be tested without prometheus (a package of Debian): %v", err)
	}
	prometheus, err := monitoring.Start(program, t.TempDir(), env.Issuer)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := prometheus.Stop(5 * time.Second); err != nil {
			t.Error(err)
		}
	})
	return prometheus
}

// makeTraffic creates a signed, a failed and a pending request.
func makeTraffic(t *testing.T) {
	t.Helper()
	namespace, key := newNamespace(t), newKey(t)
	createKeySecret(t, namespace, key)
	signed := newRequest(t, namespace, key)
	env.Create(t, signed)
	checkIssued(t, signed)

	failed := newRequest(t, namespace, key)
	failed.Annotations = nil
	env.Create(t, failed)
	env.Eventually(t, "the failure", func(context.Context) error {
		env.Get(t, failed)
		if reason := ready(failed).Reason; reason != cmapi.CertificateRequestReasonFailed {
			return fmt.Errorf("Ready has the reason %q", reason)
		}
		return nil
	})

	waiting := newRequest(t, namespace, key)
	waiting.Annotations[cmapi.CertificateRequestPrivateKeyAnnotationKey] = "missing"
	env.Create(t, waiting)
}

// awaitQuery waits until an expression has values, and all are numbers.
func awaitQuery(t *testing.T, prometheus *monitoring.Prometheus, expr string) (values []float64) {
	t.Helper()
	env.Eventually(t, expr, func(ctx context.Context) error {
		if err := prometheus.Err(); err != nil {
			t.Fatal(err)
		}
		var err error
		if values, err = prometheus.Query(ctx, expr); err != nil {
			return err
		}
		if len(values) == 0 || slices.ContainsFunc(values, math.IsNaN) {
			return fmt.Errorf("returns %v", values)
		}
		return nil
	})
	return values
}
