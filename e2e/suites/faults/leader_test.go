// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/faultproxy"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/issuer"
)

// TestLeaderKilled kills the leader of two replicas while it signs.
func TestLeaderKilled(t *testing.T) {
	eachRound(t, func(t *testing.T) {
		leader := startReady(t, env.Installation)
		before := measure(t, leader)
		standby := startReady(t, env.Installation)
		b := newBurst(t, *requests)
		b.storm(t, time.Second, func() {
			pause(t, time.Second/2)
			kill(t, leader)
			loseLease(t)
		})
		t.Logf("settled %s after the leader was killed", b.settle(t))
		checkSteady(t, standby, before)
	})
}

// TestLeaderPaused pauses a leader with writes in flight until another replica has signed. The late
// writes of the old leader are rejected.
func TestLeaderPaused(t *testing.T) {
	eachRound(t, func(t *testing.T) {
		proxy, proxied := startProxy(t)
		paused, err := proxied.Start(t.Context(), env.Binary, "selfsigned-issuer", "--log-level=7")
		expect.NoError(t, err)
		t.Cleanup(func() { _ = paused.Kill() }) // if it has not ended
		awaitReady(t, paused)
		measure(t, paused)
		standby := startReady(t, env.Installation)

		held, later, gate := &answers{}, &answers{}, faultproxy.NewGate()
		t.Cleanup(gate.Open)
		b := newBurst(t, *requests)
		b.awaitIssuer(t) // it can be written without a conflict
		// Only of this burst: that of an earlier test may still be terminating.
		results := faultproxy.On("PATCH", ".*/("+b.namespace+"/certificaterequests/|certificatesigningrequests/"+b.namespace+"-).*/status")
		writes := proxy.Inject(results, held.record)
		hold := proxy.Inject(results, gate.Hold)
		b.storm(t, 0, func() {
			env.Eventually(t, "writes in flight", func(context.Context) error {
				if stand := hold.Hits(); stand < severalWrites {
					return fmt.Errorf("the gate holds %d writes", stand)
				}
				return nil
			})
			expect.NoError(t, paused.Pause())
			loseLease(t)
		})
		t.Logf("settled %s after the leader was paused", b.settle(t))

		writes.Remove()
		hold.Remove()
		proxy.Inject(results, later.record)
		gate.Open()
		expect.NoError(t, paused.Resume())
		select {
		case <-paused.Done():
		case <-time.After(timeout):
			t.Fatal("the replica that has lost its Lease is still running")
		}
		checkRefused(t, held.count(), paused)
		t.Logf("responses to its writes until it noticed the loss of its Lease: %v", later.count())
		b.settle(t)
		expect.True(t, standby.Running(), "the new leader has ended")
	})
}

// leaderExitTimeout is how long two replicas may act as leader (docs/reliability.md): the old
// leader notices within 10 s, and finishes its work within 5 s.
const leaderExitTimeout = 15 * time.Second

// TestLeaderThrottled rejects the leader's renewals with 429 until another replica has the Lease:
// the leader exits and does not change the Lease.
func TestLeaderThrottled(t *testing.T) {
	proxy, proxied := startProxy(t)
	throttled, err := proxied.Start(t.Context(), env.Binary, "selfsigned-issuer", "--log-level=7")
	expect.NoError(t, err)
	t.Cleanup(func() { _ = throttled.Kill() }) // if it has not ended
	awaitReady(t, throttled)
	measure(t, throttled)
	standby := startReady(t, env.Installation)
	old := newLease()
	env.Get(t, old)
	proxy.Inject(faultproxy.On("PUT", ".*/leases/.*"), faultproxy.WithHeader("Retry-After", "1",
		faultproxy.Status(http.StatusTooManyRequests, metav1.StatusReasonTooManyRequests, "slow down")))
	b := newBurst(t, *requests)
	b.storm(t, time.Second, func() { loseLease(t) })
	acquired := awaitHolder(t, *old.Spec.HolderIdentity)
	select {
	case <-throttled.Done():
		t.Logf("the old leader ended %s after another replica had acquired the Lease", time.Since(acquired))
	case <-time.After(time.Until(acquired.Add(leaderExitTimeout))):
		t.Errorf("the old leader is still running after %s:\n%s", leaderExitTimeout, throttled.Tail(10))
	}
	if log := throttled.Tail(1000); !strings.Contains(log, "leader election lost: the holder of the lease is") {
		t.Errorf("the old leader does not log why it ended:\n%s", log)
	}
	if again := awaitHolder(t, *old.Spec.HolderIdentity); !again.Equal(acquired) {
		t.Errorf("the Lease was acquired at %s, and again at %s", acquired, again)
	}
	b.settle(t)
	expect.True(t, standby.Running(), "the new leader has ended")
}

// awaitHolder waits until another replica than old holds the Lease, and returns when it acquired it.
func awaitHolder(t *testing.T, old string) (acquired time.Time) {
	t.Helper()
	lease := newLease()
	env.Await(t, "a new holder of the Lease after "+old, lease, func() bool {
		holder := *lease.Spec.HolderIdentity
		return holder != "" && holder != old
	})
	return lease.Spec.AcquireTime.Time
}

// severalWrites is less than the workers of a replica, so that all can be in flight.
const severalWrites = 10

// awaitIssuer waits until the issuer is Ready.
func (b *burst) awaitIssuer(t *testing.T) {
	t.Helper()
	issuer := b.newIssuer()
	env.Await(t, "a Ready issuer", issuer, func() bool { return apimeta.IsStatusConditionTrue(issuer.Status.Conditions, "Ready") })
}

// checkRefused expects a conflict for each write in flight, whose object has been changed.
func checkRefused(t *testing.T, held map[int]int, old *issuer.Replica) {
	t.Helper()
	t.Logf("responses to the writes of the old leader: %v", held)
	expect.True(t, held[http.StatusConflict] != 0 && len(held) == 1, "the responses to the writes of the old leader are %v, want only 409", held)
	if log := old.Tail(1000); !strings.Contains(log, "leader election lost") {
		t.Errorf("the old leader does not log why it ended:\n%s", log)
	}
}

// loseLease waits until the Lease has expired. In `make test`, it releases the Lease, to save these
// 15 seconds.
func loseLease(t *testing.T) {
	t.Helper()
	if !full() {
		releaseLease(t)
	}
}

// releaseLease releases the Lease of a replica that cannot do so.
func releaseLease(t *testing.T) {
	t.Helper()
	lease := newLease()
	env.Change(t, lease, func() { lease.Spec.HolderIdentity = new("") })
}

func newLease() *coordinationv1.Lease {
	return &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{
		Namespace: env.Installation.Deployment.Namespace,
		Name:      "selfsigned-issuer.selfsigned.cert-manager.io",
	}}
}

// startProxy returns a proxy, and an installation whose replicas use it.
func startProxy(t *testing.T) (*faultproxy.Proxy, *issuer.Installation) {
	t.Helper()
	proxy, err := faultproxy.Start(env.ControlPlane.AdminConfig())
	expect.NoError(t, err)
	t.Cleanup(proxy.Close)
	proxied := *env.Installation
	proxied.Proxy = proxy
	return proxy, &proxied
}

// answers counts the responses of the API server by status.
type answers struct {
	mu       sync.Mutex
	statuses []int
}

func (a *answers) record(next http.Handler) http.Handler {
	return faultproxy.Record(func(status int) {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.statuses = append(a.statuses, status)
	})(next)
}

func (a *answers) count() map[int]int {
	a.mu.Lock()
	defer a.mu.Unlock()
	count := map[int]int{}
	for _, status := range a.statuses {
		count[status]++
	}
	return count
}
