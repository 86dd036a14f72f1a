// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"slices"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// A Secret that is not watched is looked at ever more rarely, and anew for another request.
func TestNextLook(t *testing.T) {
	w, key := newWaits(), types.NamespacedName{Namespace: "sandbox", Name: "request"}
	look := func(uid types.UID, times int) []time.Duration {
		var delays []time.Duration
		for range times {
			delays = append(delays, w.nextLook(key, uid)/time.Second)
		}
		return delays
	}
	if got, want := look("first", 7), []time.Duration{1, 2, 4, 8, 16, 30, 30}; !slices.Equal(got, want) {
		t.Errorf("looks again after %d seconds, want %d", got, want)
	}
	if got, want := look("successor", 2), []time.Duration{1, 2}; !slices.Equal(got, want) {
		t.Errorf("a successor is looked at after %d seconds, want %d", got, want)
	}
}
