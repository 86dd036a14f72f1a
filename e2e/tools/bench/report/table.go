// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// columns of the table: what is shown of each contestant, and with how many decimals.
var columns = []struct {
	title, metric string
	decimals      int
}{
	{"requests", Requests, 0},
	{"per second", Rate, 1},
	{"p50 s", P50, 3},
	{"p99 s", P99, 3},
	{"first s", First, 2},
	{"reads", Reads, 2},
	{"writes", Writes, 2},
	{"events", Events, 2},
	{"signer CPU s", SignerCPU, 2},
	{"cert-manager CPU s", CertManagerCPU, 2},
	{"API server CPU s", APIServerCPU, 2},
	{"CPU ms each", CostCPU, 2},
	{"peak RSS MiB", PeakRSS, 1},
}

// Table returns the medians as a Markdown table. Reads, writes, events and CPU ms are for
// each certificate.
func Table(summaries []Summary) string {
	header := []string{"experiment", "contestant"}
	for _, column := range columns {
		header = append(header, column.title)
	}
	rows := [][]string{header}
	for _, s := range summaries {
		row := []string{s.Experiment, s.Contestant}
		for _, column := range columns {
			row = append(row, cell(s.Values, column.metric, column.decimals))
		}
		rows = append(rows, row)
	}
	return markdown(rows, 2)
}

// APITable returns the requests to the API server for each certificate, by verb and
// resource, as a Markdown table.
func APITable(summaries []Summary) string {
	rows := [][]string{{"experiment", "contestant", "requests to the API server", "for each certificate"}}
	for _, s := range summaries {
		for _, request := range s.APIRequests() {
			rows = append(rows, []string{s.Experiment, s.Contestant, request, cell(s.Values, apiRequestPrefix+request, 3)})
		}
	}
	return markdown(rows, 3)
}

func cell(values map[string]float64, metric string, decimals int) string {
	value, measured := values[metric]
	if !measured || math.IsNaN(value) {
		return "-"
	}
	return strconv.FormatFloat(value, 'f', decimals, 64)
}

// markdown aligns the columns, the first ones to the left and the others to the right, so
// that the table also reads well as it is.
func markdown(rows [][]string, left int) string {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, text := range row {
			widths[i] = max(widths[i], len(text))
		}
	}
	var table strings.Builder
	for at, row := range rows {
		for i, text := range row {
			if i < left {
				fmt.Fprintf(&table, "| %-*s ", widths[i], text)
			} else {
				fmt.Fprintf(&table, "| %*s ", widths[i], text)
			}
		}
		table.WriteString("|\n")
		if at == 0 {
			table.WriteString(ruler(widths, left))
		}
	}
	return table.String()
}

func ruler(widths []int, left int) string {
	var line strings.Builder
	for i, width := range widths {
		if i < left {
			line.WriteString("| " + strings.Repeat("-", width) + " ")
		} else {
			line.WriteString("| " + strings.Repeat("-", width-1) + ": ")
		}
	}
	return line.String() + "|\n"
}
