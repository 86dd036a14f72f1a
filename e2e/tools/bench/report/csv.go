// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"encoding/csv"
	"io"
	"maps"
	"slices"
	"strconv"
)

// median stands in the column of the round for the median of all rounds.
const median = "median"

// WriteCSV writes a line for each value of each round, and then the medians.
func WriteCSV(out io.Writer, runs []Run) error {
	w := csv.NewWriter(out)
	lines := [][]string{{"experiment", "contestant", "round", "metric", "value"}}
	for _, run := range runs {
		lines = append(lines, csvLines(run.Experiment, run.Contestant, strconv.Itoa(run.Round), run.Values)...)
	}
	for _, s := range Summarize(runs) {
		lines = append(lines, csvLines(s.Experiment, s.Contestant, median, s.Values)...)
	}
	return w.WriteAll(lines)
}

func csvLines(experiment, contestant, round string, values map[string]float64) [][]string {
	var lines [][]string
	for _, metric := range slices.Sorted(maps.Keys(values)) {
		value := strconv.FormatFloat(values[metric], 'g', 6, 64)
		lines = append(lines, []string{experiment, contestant, round, metric, value})
	}
	return lines
}
