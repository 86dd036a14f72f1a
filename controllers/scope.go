// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/cluster"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/manager"
)

// scope is the manager of one namespace: it has separate caches, and can be stopped separately, so
// that a namespace whose objects cannot be listed does not block others. Without --namespaces,
// there is one scope for the whole cluster. The cache of ctrl.Manager is not used.
type scope struct {
	ctrl.Manager
	cluster cluster.Cluster

	mu       sync.Mutex
	parts    []*scopePart
	cleanups []func()
	stopping bool
}

// newScope returns the scope of a namespace, or of the whole cluster if namespace is empty, and
// starts its caches.
func newScope(mgr ctrl.Manager, namespace string, caches cache.Options) (*scope, error) {
	if namespace != "" {
		caches.DefaultNamespaces = map[string]cache.Config{namespace: {}}
	}
	own, err := cluster.New(mgr.GetConfig(), func(o *cluster.Options) {
		o.Scheme, o.Logger, o.HTTPClient, o.Cache = mgr.GetScheme(), mgr.GetLogger(), mgr.GetHTTPClient(), caches
		o.MapperProvider = func(*rest.Config, *http.Client) (apimeta.RESTMapper, error) { return mgr.GetRESTMapper(), nil }
	})
	if err != nil {
		return nil, fmt.Errorf("setting up the cache: %w", err)
	}
	s := &scope{Manager: mgr, cluster: own}
	return s, s.add(scopeCache{newScopePart(own, false)})
}

// GetCache returns the caches of the scope.
func (s *scope) GetCache() cache.Cache { return s.cluster.GetCache() }

// GetClient returns a client that reads from these caches.
func (s *scope) GetClient() client.Client { return s.cluster.GetClient() }

// GetFieldIndexer returns the indexer of these caches.
func (s *scope) GetFieldIndexer() client.FieldIndexer { return s.cluster.GetFieldIndexer() }

// GetControllerOptions returns the defaults of the controllers.
func (s *scope) GetControllerOptions() config.Controller {
	o := s.Manager.GetControllerOptions()
	o.SkipNameValidation = new(true) // the metrics of all namespaces have the same names
	o.CacheSyncTimeout = cacheSyncTimeout
	return o
}

// cacheSyncTimeout has no effect: the caches are filled before the controllers start.
const cacheSyncTimeout = 365 * 24 * time.Hour

// Add makes the manager run a controller of the scope.
func (s *scope) Add(runnable manager.Runnable) error {
	elected := true // controller-runtime's default
	if r, ok := runnable.(manager.LeaderElectionRunnable); ok {
		elected = r.NeedLeaderElection()
	}
	return s.add(newScopePart(runnable, elected))
}

// stoppable is a runnable for the manager that belongs to a scope.
type stoppable interface {
	manager.Runnable
	part() *scopePart
}

func (s *scope) add(runnable stoppable) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		return context.Canceled
	}
	part := runnable.part()
	s.parts = append(s.parts, part)
	if part.elected && !isClosed(s.Elected()) {
		go s.addOnceElected(part)
		return nil
	}
	return s.Manager.Add(runnable)
}

// addOnceElected adds a part when this replica becomes the leader. The manager of a standby would
// keep it after it was stopped.
func (s *scope) addOnceElected(part *scopePart) {
	select {
	case <-part.stopping:
	case <-s.Elected():
		if err := s.Manager.Add(part); err != nil {
			s.GetLogger().Error(err, "Failed to start a controller")
		}
	}
}

func isClosed(signal <-chan struct{}) bool {
	select {
	case <-signal:
		return true
	default:
		return false
	}
}

// stop stops the controllers, then the caches, and returns when they have stopped.
func (s *scope) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopping = true
	for _, part := range slices.Backward(s.parts) {
		part.stop()
	}
	for _, cleanup := range s.cleanups {
		cleanup()
	}
	s.parts, s.cleanups = nil, nil
}

// whenStopped makes stop call a function after the controllers and the caches have stopped.
func (s *scope) whenStopped(cleanup func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cleanups = append(s.cleanups, cleanup)
}

// scopePart is a controller or the caches of a scope. The manager keeps all its runnables, so a
// part releases its runnable when it is stopped.
type scopePart struct {
	elected  bool
	stopping chan struct{}
	ended    chan struct{}

	mu       sync.Mutex
	runnable manager.Runnable // nil after stop
	cancel   context.CancelFunc
}

func newScopePart(runnable manager.Runnable, elected bool) *scopePart {
	return &scopePart{elected: elected, runnable: runnable, stopping: make(chan struct{}), ended: make(chan struct{})}
}

func (p *scopePart) part() *scopePart { return p }

// NeedLeaderElection implements manager.LeaderElectionRunnable.
func (p *scopePart) NeedLeaderElection() bool { return p.elected }

// Start implements manager.Runnable.
func (p *scopePart) Start(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	runnable := p.begin(cancel)
	if runnable == nil {
		return nil
	}
	defer close(p.ended)
	if err := runnable.Start(ctx); err != nil && !isClosed(p.stopping) {
		return err
	}
	return nil
}

func (p *scopePart) begin(cancel context.CancelFunc) manager.Runnable {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cancel = cancel
	return p.runnable
}

func (p *scopePart) stop() {
	close(p.stopping)
	p.mu.Lock()
	p.runnable = nil
	cancel := p.cancel
	p.mu.Unlock()
	if cancel != nil { // otherwise it was not started
		cancel()
		<-p.ended
	}
}

// scopeCache is the part with the caches, which the manager stops after the controllers.
type scopeCache struct{ *scopePart }

// GetCache makes the manager treat it as caches, without waiting for them: see Options.fill.
func (scopeCache) GetCache() cache.Cache { return filledCache{} }

type filledCache struct{ cache.Cache }

// WaitForCacheSync implements cache.Informers.
func (filledCache) WaitForCacheSync(context.Context) bool { return true }
