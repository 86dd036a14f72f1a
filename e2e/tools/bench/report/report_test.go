// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
)

func online(contestant string, rate, p99 float64) Run {
	return Run{Online, contestant, map[string]float64{Rate: rate, P99: p99}}
}

// example has three rounds of three contestants, and a start.
var example = Results{Setup: "A machine.", Runs: []Run{
	online(InTreeTuned, 10, 1), online(Issuer, 9, 0.7), online(InTreeTuned, 30, 1), online(Issuer, 19.5, 0.6),
	online(InTreeTuned, 20, 1), online(Issuer, 30, 0.5), online(InTreeDefault, 1, 2.4),
	{Empty, Issuer, map[string]float64{Start: 0.5, PeakRSS: 30.25}},
}}

// TestMarkdown takes medians, judges in both directions, and leaves out what was not measured.
func TestMarkdown(t *testing.T) {
	const want = `A machine.

| experiment | contestant | per second | p50 s | p99 s | reads each | writes each | CPU ms each | peak RSS MiB |
| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
| online | in-tree, tuned | 20 | - | 1 | - | - | - | - |
| online | selfsigned-issuer | 19.5 | - | 0.6 | - | - | - | - |
| online | in-tree, default flags | 1 | - | 2.4 | - | - | - | - |

| experiment | contestant | start s | peak RSS MiB | received MiB | KiB per change |
| --- | --- | ---: | ---: | ---: | ---: |
| empty | selfsigned-issuer | 0.5 | 30.25 | - | - |

| target | measured | |
| --- | ---: | --- |
| online: rate / in-tree, tuned: at least 0.95 | 0.98 | reached |
| online: p99 / in-tree, tuned: at most 0.5 | 0.6 | **missed** |
`
	if diff := cmp.Diff("a\n<!--results-->\n"+want+"<!--/results-->\n", Update("a\n<!--results-->\nold\n<!--/results-->\n", example.Markdown())); diff != "" {
		t.Error(diff)
	}
}

func TestPercentile(t *testing.T) {
	for percent, want := range map[float64]float64{0: 1, 25: 1, 26: 2, 50: 2, 99: 4, 100: 4} {
		if got := Percentile([]float64{4, 2, 3, 1}, percent); got != want {
			t.Errorf("Percentile(%v) = %v, want %v", percent, got, want)
		}
	}
}

func TestSVG(t *testing.T) {
	image := example.SVG()
	for _, part := range []string{`width="470" height="18" rx="2" class="bar0"/>`, `width="117" height="18" rx="2" class="bar1"/>`, ">0.6</text>"} {
		expect.True(t, strings.Contains(image, part), "want %s in:\n%s", part, image)
	}
}
