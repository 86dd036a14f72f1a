// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package monitoring

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/repo"
)

const unitTests = "testdata/alerts.yaml"

// TestAlerts runs promtool's unit tests of the alerts as the overlay renders them.
func TestAlerts(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skipf("the alerts cannot be tested without promtool (Debian: package prometheus): %v", err)
	}
	dir := t.TempDir()
	expect.NoError(t, writeRules(dir))
	repo.WriteFile(t, repo.ReadFile(t, unitTests), dir, "alerts.yaml")
	for _, args := range [][]string{{"check", "rules", filepath.Join(dir, "rules.yaml")}, {"test", "rules", filepath.Join(dir, "alerts.yaml")}} {
		if output, err := exec.CommandContext(t.Context(), promtool, args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, output)
		}
	}
}

// TestEveryAlertIsTested expects for each alert a case in which it fires, and one in which it does not.
func TestEveryAlertIsTested(t *testing.T) {
	tests := repo.ReadFile(t, unitTests)
	for _, alert := range mustAlerts(t) {
		fires := regexp.MustCompile(`alertname: ` + alert.Alert + `\n\s+eval_time: \d+m\n\s+exp_alerts:\n`)
		expect.True(t, fires.MatchString(tests), "%s has no case in which %s fires", unitTests, alert.Alert)
		silent := regexp.MustCompile(`alertname: ` + alert.Alert + `, eval_time: \d+m, exp_alerts: \[\]`)
		expect.True(t, silent.MatchString(tests), "%s has no case in which %s does not fire", unitTests, alert.Alert)
	}
}

// TestRunbook expects one runbook entry per alert.
func TestRunbook(t *testing.T) {
	page := repo.Read(t, "docs/monitoring.md")
	var got, want []string
	for _, heading := range regexp.MustCompile(`(?m)^### (Selfsigned\w+)$`).FindAllStringSubmatch(page, -1) {
		got = append(got, heading[1])
	}
	for _, alert := range mustAlerts(t) {
		want = append(want, alert.Alert)
		_, anchor, _ := strings.Cut(alert.Annotations["runbook_url"], "/docs/monitoring.md#")
		expect.Equal(t, "anchor of the runbook", strings.ToLower(alert.Alert), anchor)
		expect.True(t, alert.Annotations["summary"] != "" && alert.Annotations["description"] != "",
			"%s has no description", alert.Alert)
	}
	expect.Equal(t, "alerts and entries in docs/monitoring.md", want, got)
}

func mustAlerts(t *testing.T) []Alert {
	t.Helper()
	alerts, err := Alerts()
	expect.NoError(t, err)
	return alerts
}
