// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"bufio"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/issuer"
)

// startReplica starts a replica with the maximum log level until the test ends. The test fails if
// it exits unexpectedly, for example after a panic or a data race.
func startReplica(t *testing.T, installation *issuer.Installation, args ...string) *issuer.Replica {
	t.Helper()
	p, err := installation.Start(t.Context(), env.Binary, "selfsigned-issuer", append([]string{"--log-level=7"}, args...)...)
	expect.NoError(t, err)
	t.Cleanup(func() {
		if err := errors.Join(p.Err(), p.Stop(10*time.Second)); err != nil {
			t.Error(err)
		}
	})
	return p
}

func startReady(t *testing.T, installation *issuer.Installation, args ...string) *issuer.Replica {
	t.Helper()
	p := startReplica(t, installation, args...)
	awaitReady(t, p)
	return p
}

func awaitReady(t *testing.T, p *issuer.Replica) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	expect.NoError(t, p.AwaitReady(ctx))
}

// usage is the resource usage of an idle replica.
type usage struct {
	goroutines int
	memory     float64 // in MiB
}

// memoryMetric is the memory of the process, or only the heap with the race detector, which does
// not return memory.
func memoryMetric() string {
	if raceDetector() {
		return "go_memstats_heap_inuse_bytes"
	}
	return "process_resident_memory_bytes"
}

func usageOf(ctx context.Context, p *issuer.Replica) (usage, error) {
	status, body := issuer.Get(ctx, p.MetricsURL+"/metrics")
	if status != http.StatusOK {
		return usage{}, fmt.Errorf("/metrics answers %d: %s", status, body)
	}
	var u usage
	for lines := bufio.NewScanner(strings.NewReader(body)); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), " ")
		var number float64
		if _, err := fmt.Sscanf(value, "%g", &number); err != nil {
			continue
		}
		switch name {
		case "go_goroutines":
			u.goroutines = int(number)
		case memoryMetric():
			u.memory = number / (1 << 20)
		}
	}
	return u, nil
}

// measure signs a few requests, so that caches and connections exist, and returns the usage of the
// idle replica.
func measure(t *testing.T, p *issuer.Replica) usage {
	t.Helper()
	b := newBurst(t, 10)
	b.storm(t, 0, func() {})
	b.settle(t)
	u, err := usageOf(t.Context(), p)
	expect.NoError(t, err)
	return u
}

// idleConnections is how many goroutines idle connections may have after a fault: client-go keeps
// 25, with two goroutines each.
const idleConnections = 50

// memorySlack, in MiB, is what the garbage collector may keep after a burst.
func memorySlack() float64 { return 48 + float64(*requests)/10 }

// checkSteady waits until a replica uses no more than before, apart from the allowed slack.
func checkSteady(t *testing.T, p *issuer.Replica, before usage) {
	t.Helper()
	if t.Failed() {
		return // the requests are still in flight
	}
	var after usage
	err := expect.Poll(t.Context(), timeout, func(context.Context) (err error) {
		if after, err = usageOf(t.Context(), p); err != nil {
			return err
		}
		if after.goroutines > before.goroutines+idleConnections || after.memory > before.memory+memorySlack() {
			return fmt.Errorf("before: %+v, after: %+v", before, after)
		}
		return nil
	})
	expect.True(t, err == nil, "goroutines or memory have grown: %v", err)
	t.Logf("goroutines %d → %d, memory %.0f → %.0f MiB", before.goroutines, after.goroutines, before.memory, after.memory)
}

// storm creates the requests over a time during the fault, and then the late Secrets.
func (b *burst) storm(t *testing.T, spread time.Duration, fault func()) {
	t.Helper()
	created := make(chan error, 1)
	go func() { created <- b.create(t.Context(), spread) }()
	fault()
	expect.NoError(t, <-created)
	expect.NoError(t, b.createLate(t.Context()))
}

// eachRound runs a test once per round.
func eachRound(t *testing.T, test func(t *testing.T)) {
	for round := range *rounds {
		t.Run(fmt.Sprintf("round %d", round+1), test)
	}
}

// The keys of a burst are created once.
var pool = struct {
	sync.Mutex
	keys []crypto.Signer
}{}

func pooledKey(t testing.TB, i int) crypto.Signer {
	t.Helper()
	pool.Lock()
	defer pool.Unlock()
	i %= 1000
	for len(pool.keys) <= i {
		pool.keys = append(pool.keys, newKey(t))
	}
	return pool.keys[i]
}

func newKey(t testing.TB) crypto.Signer { return newECDSA(t, elliptic.P256()) }

func newECDSA(t testing.TB, curve elliptic.Curve) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	expect.NoError(t, err)
	return key
}
