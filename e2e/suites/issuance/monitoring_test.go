// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package issuance_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/issuer"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/monitoring"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/repo"
)

// TestMonitoring scrapes selfsigned-issuer with Prometheus: every query of the dashboard returns
// data, and every alert can be evaluated.
func TestMonitoring(t *testing.T) {
	prometheus := startPrometheus(t)
	awaitQuery(t, prometheus, `selfsigned_issuer_requests_total{reason="MissingAnnotation"}`)
	namespace := makeTraffic(t)
	awaitQuery(t, prometheus, `ALERTS{alertname="SelfsignedCertificateNotReady",name="waiting",exported_namespace="`+namespace+`"}`)
	queries, err := monitoring.Queries()
	expect.NoError(t, err)
	expect.True(t, len(queries) >= 10, "the dashboard has only %d queries", len(queries))
	for _, query := range queries {
		t.Logf("%s: %v", query.Panel, awaitQuery(t, prometheus, query.Expr))
	}
	alerts, err := monitoring.Alerts()
	expect.NoError(t, err)
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
	prometheus, err := monitoring.Start(program, t.TempDir(), env.Issuer, certManagerMetrics)
	expect.NoError(t, err)
	t.Cleanup(func() {
		if err := prometheus.Stop(5 * time.Second); err != nil {
			t.Error(err)
		}
	})
	return prometheus
}

// makeTraffic creates a signed, a failed and a pending request, and Certificates, in a new namespace.
func makeTraffic(t *testing.T) string {
	t.Helper()
	namespace, key := newNamespaceAndKey(t)
	checkIssued(t, createRequest(t, namespace, key))
	awaitReady(t, createRequest(t, namespace, key, withoutAnnotations), "Failed")
	createRequest(t, namespace, key, forSecret("missing"))
	createCertificates(t, namespace)
	return namespace
}

// createCertificates creates the Certificates root, which is issued, waiting, which is not, and other, which
// is one of cert-manager's own issuers.
func createCertificates(t *testing.T, namespace string) {
	t.Helper()
	root, waiting, other := newCertificate(namespace), newCertificate(namespace), newCertificate(namespace)
	root.Name, waiting.Name, other.Name = "root", "waiting", "other"
	waiting.Spec.IssuerRef.Name, waiting.Spec.SecretName = "missing", "waiting"
	other.Spec.IssuerRef.Group, other.Spec.IssuerRef.Kind, other.Spec.SecretName = "", "Issuer", "other"
	for _, certificate := range []*cmapi.Certificate{waiting, other, root} {
		env.Create(t, certificate)
	}
	awaitIssued(t, root)
}

// TestCertificateSeries expects the series in the tests of the alerts among the metrics of cert-manager.
func TestCertificateSeries(t *testing.T) {
	t.Parallel()
	namespace := newNamespace(t)
	createCertificates(t, namespace)
	tests := repo.Read(t, "e2e/framework/monitoring/testdata/alerts.yaml")
	series := regexp.MustCompile(`'(certmanager_.*,)namespace="pki"}'`).FindAllStringSubmatch(tests, -1)
	expect.True(t, len(series) >= 9, "%d series in the tests of the alerts", len(series))
	env.Eventually(t, "the metrics of cert-manager", func(ctx context.Context) error {
		_, metrics := issuer.Get(ctx, "http://"+certManagerMetrics+"/metrics")
		for _, found := range series {
			if want := fmt.Sprintf("\n%snamespace=%q} ", found[1], namespace); !strings.Contains(metrics, want) {
				return fmt.Errorf("no series %s", want)
			}
		}
		return nil
	})
}

// awaitQuery waits until an expression has values, and all are numbers.
func awaitQuery(t *testing.T, prometheus *monitoring.Prometheus, expr string) (values []float64) {
	t.Helper()
	env.Eventually(t, expr, func(ctx context.Context) error {
		err := prometheus.Err()
		expect.NoError(t, err)
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

// TestOneLogLineADecision checks all log lines about one request.
func TestOneLogLineADecision(t *testing.T) {
	t.Parallel()
	namespace, key := newNamespaceAndKey(t)
	barrier(t, namespace, key) // by then the issuer is Ready
	request := createRequest(t, namespace, key, forSecret("late"))
	waiting := awaitEvent(t, request, "Normal", "MissingSecret")

	// The request is reconciled again without a change.
	empty := keySecret(namespace, "late", nil)
	env.Create(t, empty)
	noKey := awaitEvent(t, request, "Warning", "MissingPrivateKey")
	for i := range 3 {
		empty.Data = map[string][]byte{fmt.Sprint(i): nil}
		env.Update(t, empty)
	}
	updateSecret(t, namespace, "late", keyPEM(t, key))
	issued := awaitEvent(t, request, "Normal", "CertificateIssued")

	about := func(reason, message string) map[string]any {
		return map[string]any{
			"level": "INFO", "msg": message, "reason": reason,
			"kind": "CertificateRequest", "namespace": namespace, "name": request.Name, "uid": string(request.UID),
			"issuer": "SelfSignedIssuer " + namespace + "/issuer",
		}
	}
	checkLog(t, request,
		about("MissingSecret", waiting), about("MissingPrivateKey", noKey), about("CertificateIssued", issued))
	issuer := newIssuer(namespace, "issuer")
	env.Get(t, issuer)
	checkLog(t, issuer, map[string]any{
		"level": "INFO", "msg": "The issuer is Ready", "generation": 1.0,
		"kind": "SelfSignedIssuer", "namespace": namespace, "name": "issuer", "uid": string(issuer.UID),
	})
}

// checkLog waits for the number of lines about the object, and compares them without the time and
// the reconcileID.
func checkLog(t *testing.T, about client.Object, want ...map[string]any) {
	t.Helper()
	var got []map[string]any
	env.Eventually(t, "log of "+about.GetName(), func(context.Context) error {
		if got = logLines(t, about); len(got) < len(want) {
			return fmt.Errorf("%d lines, want %d", len(got), len(want))
		}
		return nil
	})
	if err := expect.NoDiff(want, got); err != nil {
		t.Error(err)
	}
}

func logLines(t *testing.T, about client.Object) (lines []map[string]any) {
	t.Helper()
	for _, text := range loggedLines(t, env.Issuer.LogPath(), string(about.GetUID())) {
		var line map[string]any
		if json.Unmarshal([]byte(text), &line) != nil || line["uid"] != string(about.GetUID()) {
			continue
		}
		expect.True(t, line["time"] != nil && line["reconcileID"] != nil,
			"a line without a time or a reconcileID: %v", line)
		delete(line, "time")
		delete(line, "reconcileID")
		lines = append(lines, line)
	}
	return lines
}
