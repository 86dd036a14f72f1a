// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/faultproxy"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/issuer"
)

// TestSoak injects one fault after the other into a replica with mixed requests, and measures its
// usage after each.
func TestSoak(t *testing.T) {
	if *soak == 0 {
		t.Skip("TestSoak runs with `make soak`: it takes half an hour")
	}
	proxy, proxied := startProxy(t)
	p := startReady(t, proxied)
	measure(t, p)
	all := soakFaults(proxy)
	var samples []usage
	signed := 0
	for end := time.Now().Add(*soak); time.Now().Before(end) && !t.Failed(); {
		next := all[rand.IntN(len(all))]
		t.Run(next.name, func(t *testing.T) {
			b := newBurst(t, *requests)
			b.storm(t, 5*time.Second, func() { next.happen(t) })
			took := b.settle(t)
			u := quietUsage(t, p)
			samples = append(samples, u)
			signed += len(b.tracked)
			t.Logf("settled after %s, %d goroutines, %.0f MiB", took.Round(time.Millisecond), u.goroutines, u.memory)
		})
	}
	t.Logf("%d faults, %d requests", len(samples), signed)
	checkFlat(t, samples)
}

type soakFault struct {
	name   string
	happen func(t *testing.T)
}

// soakFaults are faults that a replica must tolerate.
func soakFaults(proxy *faultproxy.Proxy) []soakFault {
	during := func(faults ...faultproxy.Fault) func(*testing.T) {
		return func(t *testing.T) {
			t.Helper()
			rule := proxy.Inject(faultproxy.On("", ".*/(namespaces|certificatesigningrequests)/.*"), faultproxy.Sometimes(0.2, faultproxy.OneOf(faults...)))
			pause(t, 5*time.Second)
			rule.Remove()
		}
	}
	var network []faultproxy.Fault
	for _, disturbance := range disturbances {
		network = append(network, disturbance.fault)
	}
	return []soakFault{
		{"nothing", func(*testing.T) {}},
		{"network", during(network...)},
		{"connections cut", func(t *testing.T) {
			for range 5 {
				pause(t, time.Second)
				proxy.CutConnections()
			}
		}},
		{"API server restarted", func(t *testing.T) {
			expect.NoError(t, env.ControlPlane.RestartAPIServer(t.Context()))
		}},
		{"etcd restarted", func(t *testing.T) {
			expect.NoError(t, env.ControlPlane.RestartEtcd(t.Context()))
		}},
		{"etcd paused", func(t *testing.T) { pauseEtcd(t, 10*time.Second) }},
		{"permissions removed", func(t *testing.T) { removePermissions(t, 5*time.Second) }},
	}
}

// quietUsage waits until the number of goroutines does not change.
func quietUsage(t *testing.T, p *issuer.Replica) usage {
	t.Helper()
	var last usage
	env.Eventually(t, "a constant number of goroutines", func(context.Context) error {
		u, err := usageOf(t.Context(), p)
		if err != nil {
			return err
		}
		before := last
		last = u
		if u.goroutines != before.goroutines {
			return fmt.Errorf("%d goroutines, before that %d", u.goroutines, before.goroutines)
		}
		return nil
	})
	return last
}

// checkFlat compares the last third of the samples with the middle one. In the first, caches and
// the heap grow.
func checkFlat(t *testing.T, samples []usage) {
	t.Helper()
	third := len(samples) / 3
	if third == 0 {
		t.Fatalf("%d samples are too few", len(samples))
	}
	middle, last := average(samples[third:2*third]), average(samples[len(samples)-third:])
	t.Logf("on average %d goroutines and %.0f MiB in the middle third, %d and %.0f MiB in the last", middle.goroutines, middle.memory, last.goroutines, last.memory)
	expect.True(t, last.goroutines <= middle.goroutines+idleConnections/2 && last.memory <= middle.memory*1.15+8, "goroutines or memory have grown")
}

func average(samples []usage) usage {
	var sum usage
	for _, u := range samples {
		sum.goroutines += u.goroutines
		sum.memory += u.memory
	}
	return usage{sum.goroutines / len(samples), sum.memory / float64(len(samples))}
}
