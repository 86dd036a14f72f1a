// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
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

// setup registers all controllers and returns what the metrics know of them. The API server
// must know their kinds by now.
func (o Options) setup(ctx context.Context, mgr ctrl.Manager) (*gauges, error) {
	g := &gauges{cache: mgr.GetCache(), elected: mgr.Elected(), clock: o.Clock}
	// Requests first: the manager runs already, so that each controller waits for its cache
	// before the next one is set up, and signing needs no controller of issuers.
	for _, kind := range o.requestKinds(mgr) {
		waits := newWaits()
		if err := o.setupRequests(ctx, mgr, kind, waits); err != nil {
			return nil, fmt.Errorf("setting up the controller for %s: %w", kind.name, err)
		}
		if err := o.setupHints(mgr, kind); err != nil {
			return nil, fmt.Errorf("setting up the controller for %s: %w", kind.name+" hints", err)
		}
		g.requests = append(g.requests, requestGauges{kind, waits})
	}
	for _, kind := range o.issuerKinds() {
		if err := o.setupIssuers(mgr, issuerRef{kind: kind}.newObject()); err != nil {
			return nil, fmt.Errorf("setting up the controller for %s: %w", kind, err)
		}
		g.issuers = append(g.issuers, kind)
	}
	return g, nil
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
	// Failures of the API server are retried after retryFirst, then after twice as long each
	// time, up to retryMost: a repaired permission or network is noticed within that time.
	retryFirst = 100 * time.Millisecond
	retryMost  = 30 * time.Second

	// answerWithin is how long one reconcile waits for the API server. A request that is never
	// answered, by a broken proxy for instance, must not keep a worker for ever.
	answerWithin = 30 * time.Second
)

func (o Options) controllerOptions() controller.Options {
	warm := true
	return controller.Options{
		MaxConcurrentReconciles: o.Concurrency,
		RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](retryFirst, retryMost),
		ReconciliationTimeout:   answerWithin,
		// A standby replica has its caches filled when it becomes the leader.
		EnableWarmup: &warm,
	}
}
