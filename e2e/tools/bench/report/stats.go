// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"math"
	"slices"
)

// Median returns the middle value, or the mean of the two in the middle. It is not a number
// where there is no value.
func Median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// Percentile returns the smallest value that is at least as large as percent of all values
// (nearest rank). It is not a number where there is no value.
func Percentile(values []float64, percent float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	rank := int(math.Ceil(percent / 100 * float64(len(sorted))))
	return sorted[min(max(rank, 1), len(sorted))-1]
}
