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

// scope is the manager as the controllers of one namespace see it: with caches of that
// namespace only, and with a stop that leaves the other namespaces running. A namespace whose
// objects cannot be listed blocks no cache but its own. Without --namespaces the only scope
// has the caches of the whole cluster. The manager's own cache is not used.
type scope struct {
	ctrl.Manager
	cluster cluster.Cluster

	mu       sync.Mutex
	parts    []*scopePart
	stopping bool
}

// newScope returns the scope of a namespace, or of the whole cluster when namespace is empty.
// Its caches begin to fill at once.
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

// GetCache, GetClient and GetFieldIndexer are those of the scope.
func (s *scope) GetCache() cache.Cache                { return s.cluster.GetCache() }
func (s *scope) GetClient() client.Client             { return s.cluster.GetClient() }
func (s *scope) GetFieldIndexer() client.FieldIndexer { return s.cluster.GetFieldIndexer() }

// GetControllerOptions returns the defaults of the controllers.
func (s *scope) GetControllerOptions() config.Controller {
	o := s.Manager.GetControllerOptions()
	o.SkipNameValidation = new(true) // the metrics of all namespaces have the same names
	o.CacheSyncTimeout = cacheSyncTimeout
	return o
}

// cacheSyncTimeout never ends the process: the caches are full before there are controllers.
const cacheSyncTimeout = 365 * 24 * time.Hour

// Add lets the manager run a controller of the scope.
func (s *scope) Add(runnable manager.Runnable) error {
	elected := true // controller-runtime's default
	if r, ok := runnable.(manager.LeaderElectionRunnable); ok {
		elected = r.NeedLeaderElection()
	}
	return s.add(newScopePart(runnable, elected))
}

// stoppable is a part of a scope in the form in which the manager gets it.
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

// addOnceElected keeps a part out of the queue in which the manager of a standby has what is
// started with the Lease: it would stay there after it was stopped.
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

// stop ends the controllers and then their caches, and returns when they have ended.
func (s *scope) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopping = true
	for _, part := range slices.Backward(s.parts) {
		part.stop()
	}
	s.parts = nil
}

// scopePart is a controller or the cache of a scope. The manager cannot forget what it was
// once given: a part that was stopped releases what it ran.
type scopePart struct {
	elected  bool
	stopping chan struct{}
	ended    chan struct{}

	mu       sync.Mutex
	runnable manager.Runnable // nil once it is to stop
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
	if cancel != nil { // otherwise it has not started, and will not
		cancel()
		<-p.ended
	}
}

// scopeCache is the part with the caches. The manager stops it after the controllers.
type scopeCache struct{ *scopePart }

// GetCache marks it as caches for the manager, which need not wait for them: see scope.fill.
func (scopeCache) GetCache() cache.Cache { return filledCache{} }

type filledCache struct{ cache.Cache }

// WaitForCacheSync implements cache.Informers.
func (filledCache) WaitForCacheSync(context.Context) bool { return true }
