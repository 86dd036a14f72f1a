// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package experiments

import (
	"fmt"
	"math"
	"strings"

	"github.com/cert-manager/selfsigned-issuer/e2e/tools/bench/report"
)

// target is what the plugin is held to. Ratios within one run hold on any machine.
type target struct {
	what  string
	value func([]report.Summary) float64
	least bool // the bound is the least value and not the most
	bound float64
}

var targets = []target{
	{"online: rate, as a multiple of in-tree tuned", ratio(report.Rate, Online, Online, InTreeTuned), true, 1.6},
	{"online: p99, as a multiple of in-tree tuned", ratio(report.P99, Online, Online, InTreeTuned), false, 0.3},
	{"online: rate, as a multiple of in-tree at its default flags", ratio(report.Rate, Online, Online, InTreeDefault), true, 20},
	{"backlog: rate, as a multiple of in-tree tuned", ratio(report.Rate, Backlog, Backlog, InTreeTuned), true, 1},
	{"backlog: rate, as a multiple of the floor", ratio(report.Rate, Backlog, Backlog, Floor), true, 0.9},
	{"trickle: p99, as a multiple of in-tree tuned", ratio(report.P99, Trickle, Trickle, InTreeTuned), false, 1.1},
	{"online: API writes a certificate", value(report.Writes, Online), false, 2},
	{"online: reads of the Secret a certificate", value(report.SecretReads, Online), false, 1},
	{"online: peak RSS, MiB", value(report.PeakRSS, Online), false, 64},
	{"backlog: peak RSS, MiB", value(report.PeakRSS, Backlog), false, 64},
	{"foreign Secrets: more peak RSS than without, MiB", more(report.PeakRSS, Secrets, Backlog), false, 10},
	{"cost at 10000 requests, as a multiple of that at 1000", ratio(report.CostCPU, ScaleOf(10000), ScaleOf(1000), Plugin), false, 1.2},
}

// Targets returns a line for each target that was measured: the value, the bound, and
// whether it is kept by the value as it is shown.
func Targets(summaries []report.Summary) string {
	var lines strings.Builder
	for _, t := range targets {
		value := math.Round(t.value(summaries)*100) / 100
		if math.IsNaN(value) {
			continue
		}
		bound, kept := "at most", value <= t.bound
		if t.least {
			bound, kept = "at least", value >= t.bound
		}
		verdict := "reached"
		if !kept {
			verdict = "MISSED"
		}
		fmt.Fprintf(&lines, "%-8s %-60s %7.2f (%s %g)\n", verdict, t.what, value, bound, t.bound)
	}
	return lines.String()
}

func find(summaries []report.Summary, metric, experiment, contestant string) float64 {
	s, found := report.Find(summaries, experiment, contestant)
	value, measured := s.Values[metric]
	if !found || !measured {
		return math.NaN()
	}
	return value
}

// ratio compares the plugin with another contestant, or with itself elsewhere.
func ratio(metric, experiment, otherExperiment, other string) func([]report.Summary) float64 {
	return func(s []report.Summary) float64 {
		return find(s, metric, experiment, Plugin) / find(s, metric, otherExperiment, other)
	}
}

func value(metric, experiment string) func([]report.Summary) float64 {
	return func(s []report.Summary) float64 { return find(s, metric, experiment, Plugin) }
}

func more(metric, experiment, than string) func([]report.Summary) float64 {
	return func(s []report.Summary) float64 {
		return find(s, metric, experiment, Plugin) - find(s, metric, than, Plugin)
	}
}

// Charts returns what the chart shows: the comparison with the other contestants.
func Charts(summaries []report.Summary) []report.Chart {
	return []report.Chart{
		chart(summaries, "Online: certificates a second", report.Rate, Online, InTreeDefault, InTreeTuned, Plugin),
		chart(summaries, "Backlog: certificates a second, start included", report.Rate, Backlog, InTreeTuned, Plugin, Floor),
		chart(summaries, "Online: p99 in seconds, less is better", report.P99, Online, InTreeTuned, Plugin),
		chart(summaries, "Backlog: peak memory in MiB, less is better", report.PeakRSS, Backlog, InTreeTuned, Plugin),
	}
}

func chart(summaries []report.Summary, title, metric, experiment string, contestants ...string) report.Chart {
	c := report.Chart{Title: title}
	for _, contestant := range contestants {
		if v := find(summaries, metric, experiment, contestant); !math.IsNaN(v) {
			c.Bars = append(c.Bars, report.Bar{Label: contestant, Value: v, Highlight: contestant == Plugin})
		}
	}
	return c
}
