// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/faultproxy"
)

// shares of the requests have a fault.
var shares = []float64{0.1, 0.5}

// disturbances are faults of one request to the API server.
var disturbances = []struct {
	name  string
	fault faultproxy.Fault
}{
	{"429 with Retry-After", faultproxy.WithHeader("Retry-After", "1", faultproxy.Status(http.StatusTooManyRequests, "TooManyRequests", "slow down"))},
	{"500", faultproxy.Status(http.StatusInternalServerError, "InternalError", "etcd is unavailable")},
	{"503", faultproxy.Status(http.StatusServiceUnavailable, "ServiceUnavailable", "not now")},
	{"409", faultproxy.Status(http.StatusConflict, "Conflict", "changed")},
	{"504", faultproxy.Status(http.StatusGatewayTimeout, "Timeout", "too slow")},
	{"no answer", faultproxy.Silence()},
	{"connection reset", faultproxy.OneOf(faultproxy.Reset(), faultproxy.LoseAnswer())},
	{"truncated body", faultproxy.Truncate()},
	{"slow body", faultproxy.Slow(time.Second)},
}

// TestFaultyAPIServer injects each fault into a tenth and a half of the requests for one namespace,
// all at the same time: retries in one namespace must not block the others.
func TestFaultyAPIServer(t *testing.T) {
	proxy, proxied := startProxy(t)
	// A request without a response occupies a worker, so many are needed.
	p := startReady(t, proxied, "--max-concurrent-reconciles=100")
	before := measure(t, p)
	eachRound(t, func(t *testing.T) {
		bursts := map[string]*burst{}
		var rules []*faultproxy.Rule
		for _, disturbance := range disturbances {
			for _, share := range shares {
				b := newBurst(t, *requests/len(shares))
				bursts[fmt.Sprintf("%s at %.0f percent", disturbance.name, 100*share)] = b
				about := faultproxy.On("", ".*/"+b.namespace+"[/-].*")
				rules = append(rules, proxy.Inject(about, faultproxy.Sometimes(share, disturbance.fault)))
			}
		}
		created := make(chan error, len(bursts))
		for _, b := range bursts {
			go func() { created <- b.create(t.Context(), time.Second) }()
		}
		for range bursts {
			expect.NoError(t, <-created)
		}
		pause(t, replaceDuration()/4)
		for _, rule := range rules {
			rule.Remove()
			expect.True(t, rule.Hits() != 0, "a fault has not happened")
		}
		for name, b := range bursts {
			expect.NoError(t, b.createLate(t.Context()))
			t.Logf("%s: settled after %s", name, b.settle(t))
		}
	})
	checkSteady(t, p, before)
}

// TestWatchesCut closes connections continuously, and ends watches or rejects them with 410 Gone:
// missed changes are found by the next list.
func TestWatchesCut(t *testing.T) {
	gone := faultproxy.Status(http.StatusGone, "Expired", "too old resource version")
	watches := func(r *http.Request) bool { return r.URL.Query().Get("watch") != "" }
	proxy, proxied := startProxy(t)
	p := startReady(t, proxied)
	before := measure(t, p)
	for _, share := range shares {
		eachRound(t, func(t *testing.T) {
			rule := proxy.Inject(watches, faultproxy.Sometimes(share, faultproxy.OneOf(faultproxy.CutAfter(time.Second), gone)))
			b := newBurst(t, *requests)
			b.storm(t, replaceDuration()/2, func() {
				for end := time.Now().Add(replaceDuration() / 2); time.Now().Before(end); pause(t, replaceDuration()/16) {
					proxy.CutConnections()
				}
			})
			rule.Remove()
			expect.True(t, rule.Hits() != 0, "no watch was disturbed")
			t.Logf("%.0f percent: settled after %s", 100*share, b.settle(t))
		})
	}
	checkSteady(t, p, before)
}
