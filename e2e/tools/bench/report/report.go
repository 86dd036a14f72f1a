// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package report turns what the benchmark measured into a table, a CSV file and a chart.
package report

import (
	"slices"
	"strings"
)

// The metrics of a run. Times are in seconds, sizes in MiB. Requests to the API server are
// metrics of their own, see APIRequest.
const (
	Requests       = "requests"                   // how many were signed
	Rate           = "rate per second"            // requests signed a second
	P50            = "p50 s"                      // from approved to ready, the median
	P99            = "p99 s"                      // the same, 99 of 100
	First          = "first certificate s"        // from the start of the process
	SignerCPU      = "signer CPU s"               // of the signing process
	CertManagerCPU = "cert-manager CPU s"         // of cert-manager, where it approves beside the signer
	APIServerCPU   = "API server CPU s"           // of kube-apiserver
	CostCPU        = "CPU ms a certificate"       // all of them, for each certificate
	PeakRSS        = "peak RSS MiB"               // of the signing process
	Events         = "events a certificate"       // that were there in the end
	Reads          = "reads a certificate"        // requests to the API server that read
	Writes         = "writes a certificate"       // requests to the API server that write
	SecretReads    = "Secret reads a certificate" // the reads of Secrets among them
)

const apiRequestPrefix = "request: "

// APIRequest is the metric that counts requests of one verb to one resource, for each
// certificate.
func APIRequest(verb, resource string) string { return apiRequestPrefix + verb + " " + resource }

// Run is one measurement.
type Run struct {
	Experiment, Contestant string
	Round                  int
	Values                 map[string]float64
}

// Summary holds the medians of all rounds of one contestant in one experiment.
type Summary struct {
	Experiment, Contestant string
	Rounds                 int
	Values                 map[string]float64
}

// APIRequests returns which requests to the API server were counted, by verb and resource.
func (s Summary) APIRequests() []string {
	var names []string
	for metric := range s.Values {
		if name, ok := strings.CutPrefix(metric, apiRequestPrefix); ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Summarize returns the medians, in the order in which the first runs were made. A request
// to the API server that some round did not make counts as zero there.
func Summarize(runs []Run) []Summary {
	var summaries []Summary
	samples := map[int]map[string][]float64{}
	for _, run := range runs {
		at := slices.IndexFunc(summaries, func(s Summary) bool {
			return s.Experiment == run.Experiment && s.Contestant == run.Contestant
		})
		if at < 0 {
			at = len(summaries)
			summaries = append(summaries, Summary{Experiment: run.Experiment, Contestant: run.Contestant})
			samples[at] = map[string][]float64{}
		}
		summaries[at].Rounds++
		for metric, value := range run.Values {
			samples[at][metric] = append(samples[at][metric], value)
		}
	}
	for at := range summaries {
		summaries[at].Values = medians(samples[at], summaries[at].Rounds)
	}
	return summaries
}

func medians(samples map[string][]float64, rounds int) map[string]float64 {
	values := map[string]float64{}
	for metric, sample := range samples {
		for strings.HasPrefix(metric, apiRequestPrefix) && len(sample) < rounds {
			sample = append(sample, 0)
		}
		values[metric] = Median(sample)
	}
	return values
}

// Find returns the summary of a contestant in an experiment, and false when it did not run.
func Find(summaries []Summary, experiment, contestant string) (Summary, bool) {
	for _, s := range summaries {
		if s.Experiment == experiment && s.Contestant == contestant {
			return s, true
		}
	}
	return Summary{}, false
}
