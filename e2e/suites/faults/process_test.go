// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"bytes"
	"math/rand/v2"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/issuer"
)

// TestIssuerKilled kills selfsigned-issuer ten times at random, also before it is ready.
func TestIssuerKilled(t *testing.T) {
	eachRound(t, func(t *testing.T) {
		p := startReady(t, env.Installation)
		before := measure(t, p)
		kill(t, p)
		releaseLease(t)
		b := newBurst(t, *requests)
		var last *issuer.Replica
		b.storm(t, 8*time.Second, func() {
			for range 10 {
				p := startReplica(t, env.Installation)
				pause(t, time.Duration(rand.Int64N(int64(time.Second))))
				kill(t, p)
				releaseLease(t) // so that each can become the leader
			}
			last = startReplica(t, env.Installation)
		})
		t.Logf("settled after %s", b.settle(t))
		checkSteady(t, last, before)
	})
}

// TestStartsWithManyPending starts selfsigned-issuer when there are many pending requests.
func TestStartsWithManyPending(t *testing.T) {
	count := 2 * *requests
	if full() {
		count = 10_000
	}
	b := newBurst(t, count)
	b.storm(t, 0, func() {})
	p := startReady(t, env.Installation)
	took := b.settle(t)
	u, err := usageOf(t.Context(), p)
	expect.NoError(t, err)
	t.Logf("%d requests settled %s after the start, with %d goroutines and %.0f MiB", count, took, u.goroutines, u.memory)
}

func kill(t *testing.T, p *issuer.Replica) {
	t.Helper()
	expect.NoError(t, p.Kill())
}

// pause is the duration of a fault, not a wait for a condition.
func pause(t *testing.T, d time.Duration) {
	t.Helper()
	select {
	case <-time.After(d):
	case <-t.Context().Done():
	}
}

// TestCrashShowsNoKey makes selfsigned-issuer print the stacks of all goroutines while it signs, as
// a panic does, and searches its output for keys.
func TestCrashShowsNoKey(t *testing.T) {
	p, err := env.Installation.Start(t.Context(), env.Binary, "selfsigned-issuer", "--log-level=7")
	expect.NoError(t, err)
	t.Cleanup(func() { _ = p.Kill() }) // if it has not ended
	awaitReady(t, p)
	b := newBurst(t, *requests)
	b.storm(t, time.Second, func() {
		pause(t, time.Second/2)
		expect.NoError(t, syscall.Kill(p.PID(), syscall.SIGQUIT))
		<-p.Done()
		loseLease(t)
		startReady(t, env.Installation)
	})
	b.settle(t)
	log, err := os.ReadFile(p.LogPath())
	expect.NoError(t, err)
	expect.True(t, bytes.Contains(log, []byte("SIGQUIT: quit")) && bytes.Contains(log, []byte("\ngoroutine ")),
		"no stacks were printed:\n%s", p.Tail(20))
	if err := env.ScanForKeys(t.Context()); err != nil {
		t.Error(err)
	}
	t.Logf("searched for %d private numbers in a log of %d KiB and in all objects", env.WatchedKeys(), len(log)>>10)
}
