// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package experiments

import (
	"context"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/cert-manager/selfsigned-issuer/e2e/tools/bench/report"
)

// TestSmallest runs the benchmark in its smallest size, so that it does not rot. It says
// nothing about speed.
func TestSmallest(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	result, err := Run(ctx, Options{
		Requests: 20, Rounds: 1, Only: []string{Backlog, Trickle}, ForeignSecrets: 1, Race: true, Report: t.Logf,
	})
	if err != nil {
		t.Fatal(err)
	}
	summaries := report.Summarize(result.Runs)
	for _, contestant := range []string{Floor, WriteAlone, InTreeTuned, Plugin} {
		s, found := report.Find(summaries, Backlog, contestant)
		if !found || s.Values[report.Requests] != 20 || !(s.Values[report.Rate] > 0) || !(s.Values[report.P99] >= s.Values[report.P50]) {
			t.Errorf("%s: %+v", contestant, s.Values)
		}
	}
	for _, experiment := range []string{Backlog, Trickle} { // where cert-manager approves, too
		ours, _ := report.Find(summaries, experiment, Plugin)
		for metric, want := range map[string]float64{
			report.APIRequest("APPLY", "certificaterequests/status"): 1,
			report.APIRequest("GET", "secrets"):                      1,
			report.Events:                                            1,
		} {
			if got := ours.Values[metric]; got != want {
				t.Errorf("%s: %s: %v, want %v", experiment, metric, got, want)
			}
		}
	}
}

func TestOptionsRefused(t *testing.T) {
	good := Options{Requests: 5, Rounds: 1, ForeignSecrets: 1, ScaleSizes: []int{1}, Only: Experiments()}
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*Options){
		"4 requests":                    func(o *Options) { o.Requests = 4 },
		"0 rounds":                      func(o *Options) { o.Rounds = 0 },
		"0 foreign":                     func(o *Options) { o.ForeignSecrets = 0 },
		"size 0":                        func(o *Options) { o.ScaleSizes = []int{0} },
		`unknown experiment "sideways"`: func(o *Options) { o.Only = []string{"sideways"} },
	} {
		bad := good
		change(&bad)
		if err := bad.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error with %q", err, want)
		}
	}
}

func TestTimeline(t *testing.T) {
	start := time.Unix(0, 0)
	at := func(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }
	timeline := &timeline{
		approved: map[string]time.Time{"a": at(2), "b": at(1)},
		ready:    map[string]time.Time{"a": at(3), "b": at(6)},
	}
	if got := timeline.span(); got != 5 {
		t.Errorf("from first approved to last ready: %v s, want 5", got)
	}
	if got := report.Percentile(timeline.latencies(), 100); got != 5 {
		t.Errorf("longest from approved to ready: %v s, want 5", got)
	}
	if got := report.Percentile(timeline.sinceStart(start), 1); got != 3 {
		t.Errorf("first since the start: %v s, want 3", got)
	}
}

// TestTargets judges in both directions, and leaves out what was not measured.
func TestTargets(t *testing.T) {
	summary := func(contestant string, rate, p99 float64) report.Summary {
		return report.Summary{Experiment: Online, Contestant: contestant, Values: map[string]float64{report.Rate: rate, report.P99: p99}}
	}
	summaries := []report.Summary{summary(InTreeTuned, 10, 1), summary(Plugin, 17, 0.5)}
	got := Targets(summaries)
	want := "" +
		"reached  online: rate, as a multiple of in-tree tuned            1.70 (at least 1.6)\n" +
		"MISSED   online: p99, as a multiple of in-tree tuned             0.50 (at most 0.3)\n"
	if squeeze(got) != squeeze(want) {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
	if v := find(summaries, report.Rate, Backlog, Plugin); !math.IsNaN(v) {
		t.Errorf("what was not measured is %v, want NaN", v)
	}
}

func squeeze(text string) string { return strings.Join(strings.Fields(text), " ") }
