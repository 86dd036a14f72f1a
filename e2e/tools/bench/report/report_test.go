// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMedian(t *testing.T) {
	for _, test := range []struct {
		values []float64
		want   float64
	}{
		{[]float64{3}, 3},
		{[]float64{9, 1, 2}, 2},
		{[]float64{4, 1, 3, 2}, 2.5},
	} {
		if got := Median(test.values); got != test.want {
			t.Errorf("Median(%v) = %v, want %v", test.values, got, test.want)
		}
	}
	if got := Median(nil); !math.IsNaN(got) {
		t.Errorf("Median of nothing = %v, want NaN", got)
	}
}

func TestPercentile(t *testing.T) {
	hundred := make([]float64, 100) // 100, 99, … 1
	for i := range hundred {
		hundred[i] = float64(100 - i)
	}
	for _, test := range []struct {
		values        []float64
		percent, want float64
	}{
		{hundred, 50, 50},
		{hundred, 99, 99},
		{hundred, 100, 100},
		{hundred, 0, 1},
		{[]float64{7}, 99, 7},
		{[]float64{2, 1}, 50, 1},
		{[]float64{2, 1}, 51, 2},
	} {
		if got := Percentile(test.values, test.percent); got != test.want {
			t.Errorf("Percentile(%d values, %v) = %v, want %v", len(test.values), test.percent, got, test.want)
		}
	}
	if got := Percentile(nil, 50); !math.IsNaN(got) {
		t.Errorf("Percentile of nothing = %v, want NaN", got)
	}
}

func exampleRuns() []Run {
	run := func(contestant string, round int, rate, events float64) Run {
		values := map[string]float64{Rate: rate}
		if events > 0 {
			values[APIRequest("POST", "events")] = events
		}
		return Run{Experiment: "online", Contestant: contestant, Round: round, Values: values}
	}
	return []Run{run("a, b", 1, 10, 1), run("c", 1, 5, 0), run("a, b", 2, 30, 0), run("a, b", 3, 20, 0), run("c", 2, 6, 0)}
}

// TestSummarize takes medians for each contestant, and a request that was not made in two of
// three rounds as none.
func TestSummarize(t *testing.T) {
	got := Summarize(exampleRuns())
	want := []Summary{
		{Experiment: "online", Contestant: "a, b", Rounds: 3, Values: map[string]float64{Rate: 20, APIRequest("POST", "events"): 0}},
		{Experiment: "online", Contestant: "c", Rounds: 2, Values: map[string]float64{Rate: 5.5}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"POST events"}, got[0].APIRequests()); diff != "" {
		t.Error(diff)
	}
}

func TestCSV(t *testing.T) {
	var out strings.Builder
	if err := WriteCSV(&out, exampleRuns()[:2]); err != nil {
		t.Fatal(err)
	}
	const want = `experiment,contestant,round,metric,value
online,"a, b",1,rate per second,10
online,"a, b",1,request: POST events,1
online,c,1,rate per second,5
online,"a, b",median,rate per second,10
online,"a, b",median,request: POST events,1
online,c,median,rate per second,5
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}

func TestTables(t *testing.T) {
	summaries := Summarize(exampleRuns())
	lines := strings.Split(Table(summaries), "\n")
	for i, want := range []string{
		"| experiment | contestant | requests | per second |",
		"| ---------- | ---------- | -------: | ---------: |",
		"| online     | a, b       |        - |       20.0 |",
		"| online     | c          |        - |        5.5 |",
	} {
		if !strings.HasPrefix(lines[i], want) {
			t.Errorf("line %d of the table is\n%s\nwant it to begin with\n%s", i, lines[i], want)
		}
	}
	const want = `| experiment | contestant | requests to the API server | for each certificate |
| ---------- | ---------- | -------------------------- | -------------------: |
| online     | a, b       | POST events                |                0.000 |
`
	if diff := cmp.Diff(want, APITable(summaries)); diff != "" {
		t.Error(diff)
	}
}

// TestSVG reads the image back: it has to be well-formed, the widest bar belongs to the
// largest value, and text is escaped.
func TestSVG(t *testing.T) {
	var out strings.Builder
	err := WriteSVG(&out, []Chart{
		{Title: "empty"},
		{Title: "a < b", Bars: []Bar{{"small", 5, false}, {"large", 10, true}, {"none", 0, false}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	var image struct {
		Bars []struct {
			Width int    `xml:"width,attr"`
			Class string `xml:"class,attr"`
		} `xml:"rect"`
		Texts []string `xml:"text"`
	}
	if err := xml.NewDecoder(strings.NewReader(out.String())).Decode(&image); err != nil && !errors.Is(err, io.EOF) {
		t.Fatalf("%v in:\n%s", err, out.String())
	}
	if diff := cmp.Diff([]string{"a < b", "small", "5.00", "large", "10.0", "none", "0.00"}, image.Texts); diff != "" {
		t.Error(diff)
	}
	if len(image.Bars) != 3 || image.Bars[0].Width != barMost/2 || image.Bars[1].Width != barMost || image.Bars[1].Class != "ours" || image.Bars[2].Width != 1 {
		t.Errorf("bars are %+v", image.Bars)
	}
}
