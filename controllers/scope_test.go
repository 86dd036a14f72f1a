// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"weak"

	"github.com/go-logr/logr"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/cert-manager/selfsigned-issuer/controllers/internal/events"
)

// standby is a manager that keeps its runnables, and becomes the leader when elected is closed.
type standby struct {
	ctrl.Manager
	elected   chan struct{}
	runnables []manager.Runnable
}

func (s *standby) Elected() <-chan struct{} { return s.elected }

func (s *standby) Add(r manager.Runnable) error {
	s.runnables = append(s.runnables, r)
	return nil
}

func newStandby(t *testing.T) *standby {
	t.Helper()
	empty := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(empty.Close)
	mgr, err := ctrl.NewManager(&rest.Config{Host: empty.URL}, ctrl.Options{
		Scheme: Scheme(), Logger: logr.Discard(), Metrics: server.Options{BindAddress: "0"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return &standby{Manager: mgr}
}

// TestStandbyHasNoQueue: the sources of a controller, and so its queue, start with its workers, when
// this replica becomes the leader. A standby keeps no state of requests that are created and deleted.
func TestStandbyHasNoQueue(t *testing.T) {
	t.Parallel()
	mgr := newStandby(t)
	o := Options{Concurrency: 1, Namespaces: []string{"tenant-a", "tenant-b"}, events: &events.Writer{}}
	for _, namespace := range o.scopeNamespaces() {
		s, err := newScope(mgr, namespace, cache.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := o.setup(s, o.requestKinds(mgr)); err != nil {
			t.Fatal(err)
		}
	}
	if want := len(o.Namespaces); len(mgr.runnables) != want {
		t.Errorf("the manager got %d caches and controllers, want %d", len(mgr.runnables), want)
	}
	for _, r := range mgr.runnables {
		if _, caches := r.(scopeCache); !caches {
			t.Errorf("the manager got a %T, want the caches only", r)
		}
	}
}

// TestControllersStartWithTheLease: the manager gets the controllers of a namespace when it becomes
// the leader, and never those of a namespace that was stopped before.
func TestControllersStartWithTheLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mgr := &standby{elected: make(chan struct{})}
		kept, stopped := &scope{Manager: mgr}, &scope{Manager: mgr}
		for _, s := range []*scope{kept, stopped} {
			if err := s.Add(untilStopped{}); err != nil {
				t.Fatal(err)
			}
		}
		stopped.stop()
		synctest.Wait()
		if got := len(mgr.runnables); got != 0 {
			t.Errorf("a standby starts %d controllers", got)
		}
		close(mgr.elected)
		synctest.Wait()
		if len(mgr.runnables) != 1 || mgr.runnables[0] != kept.parts[0] {
			t.Fatalf("the leader starts %v, want the controller of the namespace that is served", mgr.runnables)
		}
		if !kept.parts[0].NeedLeaderElection() {
			t.Error("the controller does not end with the Lease")
		}
	})
}

// TestScopeStops: the controllers of a namespace stop before its caches, and the manager, which
// keeps its runnables, does not keep their memory.
func TestScopeStops(t *testing.T) {
	t.Parallel()
	mgr := &standby{elected: make(chan struct{})}
	close(mgr.elected)
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
	s.stop() // the manager has not started the second controller yet
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

// recorded runs until it is stopped, and then fails, like controllers that are stopped while they
// wait for their caches.
func recorded(name string, ended *[]string) manager.Runnable {
	return manager.RunnableFunc(func(ctx context.Context) error {
		close(ctx.Value(startedKey{}).(chan struct{}))
		<-ctx.Done()
		*ended = append(*ended, name)
		return errors.New("the cache did not sync")
	})
}

// TestStoppedScopesAreReleased: neither a standby nor a leader keeps memory of a namespace that is
// served and stopped repeatedly.
func TestStoppedScopesAreReleased(t *testing.T) {
	t.Parallel()
	for name, lock := range map[string]resourcelock.Interface{"leader": nil, "standby": heldByAnother{}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mgr := startManager(t, lock)
			var parts []weak.Pointer[scopePart]
			for range 500 {
				s, err := newScope(mgr, "tenant", cache.Options{})
				if err != nil {
					t.Fatal(err)
				}
				for range 4 {
					if err := s.Add(untilStopped{}); err != nil {
						t.Fatal(err)
					}
				}
				for _, part := range s.parts {
					parts = append(parts, weak.Make(part))
				}
				s.stop()
			}
			if kept := countKept(parts); kept > 0 {
				t.Errorf("%d of %d caches and controllers are kept", kept, len(parts))
			}
			runtime.KeepAlive(mgr)
		})
	}
}

// startManager returns a manager that runs until the test ends. It is the leader without a lock.
func startManager(t *testing.T, lock resourcelock.Interface) ctrl.Manager {
	t.Helper()
	empty := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(empty.Close)
	mgr, err := ctrl.NewManager(&rest.Config{Host: empty.URL}, ctrl.Options{
		Scheme: Scheme(), Logger: logr.Discard(), Metrics: server.Options{BindAddress: "0"},
		LeaderElection: lock != nil, LeaderElectionID: "id", LeaderElectionResourceLockInterface: lock,
	})
	if err != nil {
		t.Fatal(err)
	}
	started := make(chan struct{})
	if err := mgr.Add(&startSignal{started}); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- mgr.Start(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	<-started
	if lock == nil {
		<-mgr.Elected()
	}
	return mgr
}

// startSignal is closed when the manager runs.
type startSignal struct{ started chan struct{} }

func (s *startSignal) NeedLeaderElection() bool { return false }

func (s *startSignal) Start(context.Context) error {
	close(s.started)
	return nil
}

// heldByAnother is a Lease held by another replica.
type heldByAnother struct{ resourcelock.Interface }

func (heldByAnother) Identity() string { return "this replica" }
func (heldByAnother) Describe() string { return "lease" }
func (heldByAnother) Get(context.Context) (*resourcelock.LeaderElectionRecord, []byte, error) {
	return &resourcelock.LeaderElectionRecord{HolderIdentity: "another replica", LeaseDurationSeconds: 3600}, []byte("held"), nil
}

// untilStopped is a controller that does nothing.
type untilStopped struct{}

func (untilStopped) Start(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

// countKept returns the number of parts that are still reachable after their goroutines have ended.
func countKept(parts []weak.Pointer[scopePart]) int {
	kept := len(parts)
	for range 20 {
		runtime.GC()
		runtime.Gosched()
		parts = slices.DeleteFunc(parts, func(p weak.Pointer[scopePart]) bool { return p.Value() == nil })
		if kept = len(parts); kept == 0 {
			break
		}
	}
	return kept
}
