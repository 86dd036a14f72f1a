// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package report turns the measured values of the benchmark into tables, verdicts and a chart.
package report

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
)

// The experiments.
const (
	Online  = "online"
	Backlog = "backlog"
	Scale   = "scale"
	Trickle = "trickle"
	Secret  = "secret"
	Empty   = "empty"
	Foreign = "foreign"
	Own     = "own"
)

// The contestants.
const (
	Floor         = "floor"
	Approval      = "approval only"
	InTreeDefault = "in-tree, default flags"
	InTreeTuned   = "in-tree, tuned"
	Issuer        = "selfsigned-issuer"
	Before        = "before"
	NoWatchList   = ", no WatchList" // follows Issuer or Before
)

// The metrics. The suffix "each" means: for each certificate.
const (
	Rate        = "per second"
	P50         = "p50 s"
	P99         = "p99 s"
	Reads       = "reads each" // requests to the API server
	Writes      = "writes each"
	SecretReads = "Secret reads each"
	CPU         = "CPU ms each" // of the signer, the approver and the API server
	PeakRSS     = "peak RSS MiB"
	Start       = "start s"
	Received    = "received MiB"
	PerChange   = "KiB per change" // received for each change of an object
)

// Run holds the values of one round of a contestant in an experiment.
type Run struct {
	Experiment, Contestant string
	Values                 map[string]float64
}

// Results are the runs of all rounds. Setup describes what was measured on which machine.
type Results struct {
	Setup string
	Runs  []Run
}

// median returns the median of all rounds, and NaN for what was not measured.
func (r Results) median(metric, experiment, contestant string) float64 {
	var values []float64
	for _, run := range r.Runs {
		if value, measured := run.Values[metric]; measured && run.Experiment == experiment && run.Contestant == contestant {
			values = append(values, value)
		}
	}
	return Percentile(values, 50)
}

// Percentile returns the smallest value that is at least as large as percent of the values.
func Percentile(values []float64, percent float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	rank := int(math.Ceil(percent / 100 * float64(len(values))))
	return slices.Sorted(slices.Values(values))[max(rank, 1)-1]
}

// Markdown returns the tables and the verdicts.
func (r Results) Markdown() string {
	return r.Setup + "\n\n" + r.table(Rate, P50, P99, Reads, Writes, CPU, PeakRSS) + "\n" +
		r.table(Start, PeakRSS, Received, PerChange) + "\n" + r.verdicts()
}

// table has a row for each contestant with the first metric, in each experiment.
func (r Results) table(metrics ...string) string {
	rows, known := &strings.Builder{}, map[string]bool{}
	rows.WriteString("| experiment | contestant | " + strings.Join(metrics, " | ") + " |\n| --- | --- |" + strings.Repeat(" ---: |", len(metrics)))
	for _, run := range r.Runs {
		row := "\n| " + run.Experiment + " | " + run.Contestant + " |"
		if _, measured := run.Values[metrics[0]]; !measured || known[row] {
			continue
		}
		known[row] = true
		rows.WriteString(row)
		for _, metric := range metrics {
			value := fmt.Sprintf(" %.4g |", r.median(metric, run.Experiment, run.Contestant))
			rows.WriteString(strings.ReplaceAll(value, "NaN", "-"))
		}
	}
	return rows.String() + "\n"
}

// The targets for selfsigned-issuer are values, or ratios or differences within one run, which hold on any
// machine.
var targets = []struct {
	what, metric, experiment, contestant, operator, otherExperiment, other, bounded string
	bound                                                                           float64
}{
	{"rate / in-tree, tuned", Rate, Online, Issuer, "/", Online, InTreeTuned, "at least", 0.95},
	{"p99 / in-tree, tuned", P99, Online, Issuer, "/", Online, InTreeTuned, "at most", 0.5},
	{"writes per certificate", Writes, Online, Issuer, "", "", "", "at most", 2},
	{"reads of the Secret per certificate", SecretReads, Online, Issuer, "", "", "", "at most", 1},
	{"peak RSS, MiB", PeakRSS, Online, Issuer, "", "", "", "at most", 64},
	{"rate / floor", Rate, Backlog, Issuer, "/", Backlog, Floor, "at least", 0.9},
	{"rate / in-tree, tuned", Rate, Backlog, Issuer, "/", Backlog, InTreeTuned, "at least", 1},
	{"peak RSS, MiB", PeakRSS, Backlog, Issuer, "", "", "", "at most", 64},
	{"CPU per certificate / backlog", CPU, Scale, Issuer, "/", Backlog, Issuer, "at most", 1.2},
	{"p99 / in-tree, tuned", P99, Trickle, Issuer, "/", Trickle, InTreeTuned, "at most", 1.1},
	{"p99 / before", P99, Secret, Issuer, "/", Secret, Before, "at most", 1.1},
	{"peak RSS - empty, MiB", PeakRSS, Foreign, Issuer, "-", Empty, Issuer, "at most", 5},
	{"peak RSS - empty, no WatchList, MiB", PeakRSS, Foreign, Issuer + NoWatchList, "-", Empty, Issuer + NoWatchList, "at most", 5},
	{"start / empty", Start, Foreign, Issuer, "/", Empty, Issuer, "at most", 1.2},
	{"start / empty, no WatchList", Start, Foreign, Issuer + NoWatchList, "/", Empty, Issuer + NoWatchList, "at most", 1.2},
	{"received at start - empty, MiB", Received, Foreign, Issuer, "-", Empty, Issuer, "at most", 0.1},
	{"received per change, KiB", PerChange, Foreign, Issuer, "", "", "", "at most", 0.1},
	{"peak RSS - empty, MiB", PeakRSS, Own, Issuer, "-", Empty, Issuer, "at most", 40},
}

// verdicts has a row for each target that was measured.
func (r Results) verdicts() string {
	rows := &strings.Builder{}
	rows.WriteString("| target | measured | |\n| --- | ---: | --- |\n")
	for _, t := range targets {
		value := r.median(t.metric, t.experiment, t.contestant)
		switch other := r.median(t.metric, t.otherExperiment, t.other); t.operator {
		case "/":
			value /= other
		case "-":
			value -= other
		}
		value = math.Round(value*100)/100 + 0 // not -0
		verdict := "reached"
		if t.bounded == "at least" && value < t.bound || t.bounded == "at most" && value > t.bound {
			verdict = "**missed**"
		}
		if !math.IsNaN(value) {
			fmt.Fprintf(rows, "| %s: %s: %s %g | %g | %s |\n", t.experiment, t.what, t.bounded, t.bound, value, verdict)
		}
	}
	return rows.String()
}

var block = regexp.MustCompile(`(?s)<!--results-->\n.*?<!--/results-->`)

// Update replaces the text between the markers of a page.
func Update(page, text string) string {
	return block.ReplaceAllLiteralString(page, "<!--results-->\n"+text+"<!--/results-->")
}

// The image needs no fonts, and follows the light or dark scheme of the reader.
const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="760" height="%[1]d" viewBox="0 0 760 %[1]d" role="img" aria-label="Benchmark of selfsigned-issuer">
<style>
text { font: 13px sans-serif; fill: #24292f; }
.label { text-anchor: end; }
.bar0 { fill: #8c959f; }
.bar1 { fill: #1a7f37; }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3; } .bar1 { fill: #3fb950; } }
</style>
%[2]s</svg>
`

// SVG draws groups of bars, in which less is better.
func (r Results) SVG() string {
	body, y := "", 10
	for _, c := range []struct{ title, metric, experiment string }{
		{"p99 of a burst, in seconds", P99, Online},
		{"Peak memory with foreign objects, in MiB", PeakRSS, Foreign},
		{"Start with foreign objects, in seconds", Start, Foreign},
	} {
		if math.IsNaN(r.median(c.metric, c.experiment, InTreeDefault)) {
			continue
		}
		body += fmt.Sprintf("<text x=\"14\" y=\"%d\">%s</text>\n", y+17, c.title)
		y += 34
		for class, contestant := range []string{InTreeDefault, Issuer} {
			value := r.median(c.metric, c.experiment, contestant)
			widest := max(r.median(c.metric, c.experiment, InTreeDefault), r.median(c.metric, c.experiment, Issuer))
			width := max(1, int(value/widest*470))
			body += fmt.Sprintf("<text x=\"192\" y=\"%d\" class=\"label\">%s</text>\n", y+13, contestant) +
				fmt.Sprintf("<rect x=\"200\" y=\"%d\" width=\"%d\" height=\"18\" rx=\"2\" class=\"bar%d\"/>\n", y, width, class) +
				fmt.Sprintf("<text x=\"%d\" y=\"%d\">%.3g</text>\n", 206+width, y+13, value)
			y += 26
		}
		y += 14
	}
	return fmt.Sprintf(svg, y, body)
}
