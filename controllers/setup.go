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
	"github.com/cert-manager/selfsigned-issuer/controllers/internal/metrics"
	"github.com/cert-manager/selfsigned-issuer/controllers/internal/outcome"
	"github.com/cert-manager/selfsigned-issuer/controllers/internal/request"
)

// Scheme returns a scheme with every type that the controllers use.
func Scheme() *runtime.Scheme {
	scheme := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(scheme))
	utilruntime.Must(cmapi.AddToScheme(scheme))
	utilruntime.Must(selfsigned.AddToScheme(scheme))
	return scheme
}

// setup registers the controllers of a scope with filled caches, and returns the scope's part of
// the gauges.
func (o Options) setup(s *scope, kinds []request.Kind) (*metrics.Scope, error) {
	trackers := map[string]*pendingTracker{}
	for _, kind := range kinds {
		trackers[kind.Name] = newPendingTracker()
		if err := o.setupRequests(s, kind, trackers[kind.Name]); err != nil {
			return nil, fmt.Errorf("setting up the controller for %s: %w", kind.Name, err)
		}
		if err := o.setupHints(s, kind); err != nil {
			return nil, fmt.Errorf("setting up the controller for %s: %w", kind.Name+" hints", err)
		}
	}
	for _, kind := range o.issuerKinds() {
		if err := o.setupIssuers(s, request.IssuerRef{Kind: kind}.NewObject()); err != nil {
			return nil, fmt.Errorf("setting up the controller for %s: %w", kind, err)
		}
	}
	return &metrics.Scope{Cache: s.GetCache(), Reported: func(kind string, object client.Object) outcome.Reason {
		return trackers[kind].lastReported(client.ObjectKeyFromObject(object), object.GetUID())
	}}, nil
}

// fill returns true when the caches of a scope are filled, with their indexes, and false if ctx ends
// before. It does not need the Lease, so a standby has filled caches, and no growing queue.
func (o Options) fill(ctx context.Context, s *scope, kinds []request.Kind) (bool, error) {
	for _, object := range o.watchedObjects(kinds) {
		if _, err := s.GetCache().GetInformer(ctx, object, cache.BlockUntilSynced(false)); err != nil {
			return false, fmt.Errorf("setting up the cache: %w", err)
		}
	}
	for _, kind := range kinds {
		for name, values := range kind.Indexes() {
			if err := s.GetFieldIndexer().IndexField(ctx, kind.NewObject(), name, values); err != nil {
				return false, fmt.Errorf("setting up the index %s for %s: %w", name, kind.Name, err)
			}
		}
	}
	return s.GetCache().WaitForCacheSync(ctx), nil
}

// watchedObjects has an empty object of each type that the controllers watch.
func (o Options) watchedObjects(kinds []request.Kind) []client.Object {
	var objects []client.Object
	for _, kind := range kinds {
		objects = append(objects, kind.NewObject())
	}
	for _, kind := range o.issuerKinds() {
		objects = append(objects, request.IssuerRef{Kind: kind}.NewObject())
	}
	if !o.PollSecrets {
		objects = append(objects, secretMetadata())
	}
	return objects
}

// scopeNamespaces returns the namespaces that have a scope. An empty name is the whole cluster.
func (o Options) scopeNamespaces() []string {
	if o.namespaced() {
		return slices.Compact(slices.Sorted(slices.Values(o.Namespaces)))
	}
	return []string{""}
}

// namespaced returns whether only some namespaces are served.
func (o Options) namespaced() bool { return len(o.Namespaces) > 0 }

// issuerKinds returns the kinds of issuer that are served.
func (o Options) issuerKinds() []string {
	if o.namespaced() {
		return []string{request.IssuerKind}
	}
	return []string{request.IssuerKind, request.ClusterIssuerKind}
}

func (o Options) requestKinds(mgr ctrl.Manager) []request.Kind {
	kinds := []request.Kind{request.CertificateRequests()}
	if o.KubernetesCSRs {
		kinds = append(kinds, request.CertificateSigningRequests(o.ClusterResourceNamespace, request.AccessReviewer{Client: mgr.GetClient()}))
	}
	return kinds
}

const (
	// API server errors are retried after retryBaseDelay. The delay doubles each time, up to
	// retryMaxDelay.
	retryBaseDelay = 100 * time.Millisecond
	retryMaxDelay  = 30 * time.Second

	// reconcileTimeout is the maximum duration of a reconcile. Without it, calls that are never
	// answered, for example by a broken proxy, would block all workers.
	reconcileTimeout = 30 * time.Second
)

// minimumWorkers is more than one, so that one slow call does not block a namespace.
const minimumWorkers = 2

// workers returns the number of workers of a controller. All namespaces share Concurrency.
func (o Options) workers() int {
	if !o.namespaced() {
		return o.Concurrency
	}
	return max(o.Concurrency/len(o.scopeNamespaces()), min(o.Concurrency, minimumWorkers))
}

// maxIssuerWorkers bounds the memory for responses to status writes: issuers can be as large as
// etcd allows.
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
