// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package experiments

import (
	"testing"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
	"github.com/cert-manager/selfsigned-issuer/e2e/tools/bench/report"
)

// TestSmallest runs small experiments. It checks counts, and not times.
func TestSmallest(t *testing.T) {
	results, err := Run(t.Context(), Options{
		Requests: 20, Rounds: 1, Foreign: 50, Only: []string{"backlog", "trickle", "foreign"}, Race: true, Report: t.Logf,
	})
	expect.NoError(t, err)
	expect.True(t, len(results.Runs) == 4+3+3+3+2, "%d runs", len(results.Runs))
	for _, run := range results.Runs {
		value := run.Values
		var wrong bool
		switch _, signed := value[report.Rate]; {
		case signed:
			wrong = value[report.P99] < value[report.P50] || value[report.P50] <= 0 || // some write a little at their start
				run.Contestant == report.Issuer && (value[report.SecretReads] != 1 || value[report.Writes] < 2 || value[report.Writes] > 2.3)
		case run.Experiment == report.Foreign:
			wrong = value[report.PerChange] > 2 != (run.Contestant == report.InTreeDefault)
		default:
			wrong = value[report.Start] <= 0 || value[report.Received] <= 0
		}
		expect.True(t, !wrong, "%s, %s: %v", run.Experiment, run.Contestant, value)
	}
}
