// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

// standby is a manager that never gets the Lease.
type standby struct {
	ctrl.Manager
	runnables []manager.Runnable
}

func (s *standby) Add(r manager.Runnable) error {
	s.runnables = append(s.runnables, r)
	return nil
}

func newStandby(t *testing.T) *standby {
	t.Helper()
	nobody := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(nobody.Close)
	mgr, err := ctrl.NewManager(&rest.Config{Host: nobody.URL}, ctrl.Options{
		Scheme: Scheme(), Logger: logr.Discard(), Metrics: server.Options{BindAddress: "0"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return &standby{Manager: mgr}
}

// TestStandbyHasNoQueue: a controller gives the manager nothing to start before the process
// holds the Lease. Its sources, and so its queue, start with its workers: whatever is created
// and deleted beside a standby, it keeps nothing of it.
func TestStandbyHasNoQueue(t *testing.T) {
	t.Parallel()
	mgr := newStandby(t)
	o := Options{Concurrency: 1, Namespaces: []string{"tenant-a", "tenant-b"}, events: &eventWriter{}}
	for _, namespace := range o.scopeNamespaces() {
		s, err := newScope(mgr, namespace, cache.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := o.setup(s, o.requestKinds(mgr)); err != nil {
			t.Fatal(err)
		}
	}
	// In each namespace: the caches, CertificateRequests and hints about them, and issuers.
	if want := 2 * (1 + 2 + 1); len(mgr.runnables) != want {
		t.Errorf("the manager got %d caches and controllers, want %d", len(mgr.runnables), want)
	}
	for _, r := range mgr.runnables {
		if _, caches := r.(scopeCache); caches {
			continue
		}
		if elected, ok := r.(manager.LeaderElectionRunnable); !ok || !elected.NeedLeaderElection() {
			t.Errorf("%T starts without the Lease", r)
		}
		if _, warm := r.(interface{ Warmup(context.Context) error }); warm {
			t.Errorf("%T fills its queue without the Lease", r)
		}
	}
}

// TestScopeStops: the controllers of a namespace end before its caches, and the manager, which
// cannot forget them, keeps nothing of them.
func TestScopeStops(t *testing.T) {
	t.Parallel()
	mgr := &standby{}
	s := &scope{Manager: mgr}
	var ended []string
	if err := s.add(scopeCache{newScopePart(recorded("cache", &ended), false)}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.Add(recorded("controller", &ended)); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	returned := make(chan error, 2)
	for _, r := range mgr.runnables[:2] {
		started := make(chan struct{})
		go func() { returned <- r.Start(context.WithValue(ctx, startedKey{}, started)) }()
		<-started
	}
	s.stop() // the second controller waits for the Lease, as on a standby
	for range 2 {
		if err := <-returned; err != nil {
			t.Errorf("a stopped part ends the manager: %v", err)
		}
	}
	if got := strings.Join(ended, " "); got != "controller cache" {
		t.Errorf("ended in the order %q", got)
	}
	if err := mgr.runnables[2].Start(ctx); err != nil {
		t.Errorf("a stopped controller starts: %v", err)
	}
	if err := s.Add(recorded("late", &ended)); !errors.Is(err, context.Canceled) {
		t.Errorf("a stopped scope takes a controller: %v", err)
	}
}

type startedKey struct{}

// recorded runs until it is stopped, and then fails, as controllers do that are stopped while
// they wait for their caches.
func recorded(name string, ended *[]string) manager.Runnable {
	return manager.RunnableFunc(func(ctx context.Context) error {
		close(ctx.Value(startedKey{}).(chan struct{}))
		<-ctx.Done()
		*ended = append(*ended, name)
		return errors.New("the cache did not sync")
	})
}

// TestStoppedScopesAreReleased: a namespace that comes and goes beside a standby leaves some
// hundred bytes each time, not its caches.
func TestStoppedScopesAreReleased(t *testing.T) {
	mgr := newStandby(t)
	const rounds = 200
	round := func() {
		s, err := newScope(mgr, "tenant", cache.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Add(&heavy{}); err != nil {
			t.Fatal(err)
		}
		s.stop()
	}
	round()
	before := heap()
	for range rounds {
		round()
	}
	if grown := (heap() - before) / rounds; grown > 4<<10 {
		t.Errorf("each round keeps %d bytes", grown)
	}
	runtime.KeepAlive(mgr)
}

// heavy is as large as a small cache.
type heavy struct{ content [64 << 10]byte }

func (h *heavy) Start(context.Context) error { return fmt.Errorf("%d", len(h.content)) }

func heap() int64 {
	var stats runtime.MemStats
	for range 3 { // finalizers and pools take more than one
		runtime.GC()
		runtime.Gosched()
	}
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}
