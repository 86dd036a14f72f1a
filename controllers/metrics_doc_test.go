// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

var updateDocs = flag.Bool("update-docs", false, "write docs/metrics.md instead of comparing it")

const (
	metricsPage   = "../docs/metrics.md"
	updateCommand = "go test ./controllers -run TestMetricsPage -update-docs"
)

// TestMetricsPage keeps the page for users true: it is generated from the registered metrics.
func TestMetricsPage(t *testing.T) {
	m, _ := measured(t)
	want := renderMetricsPage(scrape(t, m))
	if *updateDocs {
		if err := os.WriteFile(metricsPage, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(metricsPage)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("docs/metrics.md does not say what the metrics are; in the top folder, run\n\n  %s", updateCommand)
	}
}

const metricsIntroduction = `# Metrics of selfsigned-issuer

<!-- Generated from controllers/metrics.go and controllers/gauges.go. To write it again:
     %s -->

They are at the path ` + "`/metrics`" + ` of ` + "`--metrics-bind-address`" + `, beside those of
controller-runtime, client-go and Go itself. [Monitoring](monitoring.md) says how to collect
them, and what to make of them. No label names an object: the number of series does not grow
with the cluster. Reasons are the headings of [outcomes](outcomes.md).

| Metric | Type | Labels | Meaning |
| --- | --- | --- | --- |
`

// described is a metric with its help, its type and the labels of its first series.
var described = regexp.MustCompile(`(?m)^# HELP (\S+) (.*)\n# TYPE \S+ (\S+)\n[^{ ]+(?:{(.*)})? `)

var labelName = regexp.MustCompile(`(\w+)="[^"]*"`)

func renderMetricsPage(scraped string) string {
	var page strings.Builder
	fmt.Fprintf(&page, metricsIntroduction, updateCommand)
	for _, metric := range described.FindAllStringSubmatch(scraped, -1) {
		name, help, kind := metric[1], metric[2], metric[3]
		var labels []string
		for _, label := range labelName.FindAllStringSubmatch(metric[4], -1) {
			if kind != "histogram" { // of which "le" is no label but a bucket
				labels = append(labels, "`"+label[1]+"`")
			}
		}
		fmt.Fprintf(&page, "| `%s` | %s | %s | %s |\n", name, kind, strings.Join(labels, ", "), help)
	}
	return page.String()
}
