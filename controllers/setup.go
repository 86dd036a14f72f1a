// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"
	"slices"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	selfsigned "github.com/cert-manager/selfsigned-issuer/api/v1alpha1"
)

// Scheme returns a scheme with every type that the controllers use.
func Scheme() *runtime.Scheme {
	scheme := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(scheme))
	utilruntime.Must(cmapi.AddToScheme(scheme))
	utilruntime.Must(selfsigned.AddToScheme(scheme))
	return scheme
}

// setup registers the controllers of a scope, whose caches are filled, and returns what the
// metrics know of them.
func (o Options) setup(s *scope, kinds []requestKind) (*scopeGauges, error) {
	g := &scopeGauges{cache: s.GetCache(), tracker: map[string]*pendingTracker{}}
	for _, kind := range kinds {
		g.tracker[kind.name] = newPendingTracker()
		if err := o.setupRequests(s, kind, g.tracker[kind.name]); err != nil {
			return nil, fmt.Errorf("setting up the controller for %s: %w", kind.name, err)
		}
		if err := o.setupHints(s, kind); err != nil {
			return nil, fmt.Errorf("setting up the controller for %s: %w", kind.name+" hints", err)
		}
	}
	for _, kind := range o.issuerKinds() {
		if err := o.setupIssuers(s, issuerRef{kind: kind}.newObject()); err != nil {
			return nil, fmt.Errorf("setting up the controller for %s: %w", kind, err)
		}
	}
	return g, nil
}

// fill returns true when the caches of a scope hold every object that its controllers watch, with
// the indexes, and false when ctx ends before. Because it does not need the Lease, a standby
// takes over with full caches, and without a queue that nobody works on.
func (o Options) fill(ctx context.Context, s *scope, kinds []requestKind) (bool, error) {
	for _, object := range o.watchedObjects(kinds) {
		if _, err := s.GetCache().GetInformer(ctx, object, cache.BlockUntilSynced(false)); err != nil {
			return false, fmt.Errorf("setting up the cache: %w", err)
		}
	}
	for _, kind := range kinds {
		if err := indexWaiting(ctx, s.GetFieldIndexer(), kind); err != nil {
			return false, fmt.Errorf("setting up the indexes for %s: %w", kind.name, err)
		}
	}
	return s.GetCache().WaitForCacheSync(ctx), nil
}

// watchedObjects are an empty object of each type that the controllers watch.
func (o Options) watchedObjects(kinds []requestKind) []client.Object {
	var objects []client.Object
	for _, kind := range kinds {
		objects = append(objects, kind.newObject())
	}
	for _, kind := range o.issuerKinds() {
		objects = append(objects, issuerRef{kind: kind}.newObject())
	}
	if !o.PollSecrets {
		objects = append(objects, secretMetadata())
	}
	return objects
}

// scopeNamespaces are the namespaces with a scope each; one empty name is the whole cluster.
func (o Options) scopeNamespaces() []string {
	if o.namespaced() {
		return slices.Compact(slices.Sorted(slices.Values(o.Namespaces)))
	}
	return []string{""}
}

// namespaced is true when the process has no rights beyond some namespaces.
func (o Options) namespaced() bool { return len(o.Namespaces) > 0 }

// issuerKinds are the kinds of issuer that are served.
func (o Options) issuerKinds() []string {
	if o.namespaced() {
		return []string{issuerKind}
	}
	return []string{issuerKind, clusterIssuerKind}
}

func (o Options) requestKinds(mgr ctrl.Manager) []requestKind {
	kinds := []requestKind{certificateRequests()}
	if o.KubernetesCSRs {
		kinds = append(kinds, certificateSigningRequests(o.ClusterResourceNamespace, accessReviewer{mgr.GetClient()}))
	}
	return kinds
}

const (
	// Failures of the API server are retried after retryBaseDelay, then after twice as long each
	// time, up to retryMaxDelay: a repaired permission or network is noticed within that time.
	retryBaseDelay = 100 * time.Millisecond
	retryMaxDelay  = 30 * time.Second

	// reconcileTimeout is how long one reconcile waits for the API server. A request that is never
	// answered, by a broken proxy for instance, must not keep a worker for ever.
	reconcileTimeout = 30 * time.Second
)

// minimumWorkers let a namespace go on while a request of it waits for the API server.
const minimumWorkers = 2

// workers are those of each controller of a scope: all namespaces share Concurrency.
func (o Options) workers() int {
	if !o.namespaced() {
		return o.Concurrency
	}
	return max(o.Concurrency/len(o.scopeNamespaces()), min(o.Concurrency, minimumWorkers))
}

// maxIssuerWorkers bounds the memory for the answers to status writes: issuers are few, and can
// be as large as etcd allows.
const maxIssuerWorkers = 8

func (o Options) issuerControllerOptions() controller.Options {
	options := o.controllerOptions()
	options.MaxConcurrentReconciles = min(options.MaxConcurrentReconciles, maxIssuerWorkers)
	return options
}

func (o Options) controllerOptions() controller.Options {
	return controller.Options{
		MaxConcurrentReconciles: o.workers(),
		RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](retryBaseDelay, retryMaxDelay),
		ReconciliationTimeout:   reconcileTimeout,
	}
}
