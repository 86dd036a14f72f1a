// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	toolscache "k8s.io/client-go/tools/cache"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	"sigs.k8s.io/controller-runtime/pkg/healthz"

	selfsigned "github.com/cert-manager/selfsigned-issuer/api/v1alpha1"
)

// crdPollInterval is how often the API server is asked for kinds that it does not know yet.
const crdPollInterval = 2 * time.Second

// Add makes the manager run the controllers as soon as the API server knows their kinds:
// the plugin may be installed before cert-manager. Until then the process is up, not ready,
// and says what it waits for.
func Add(mgr ctrl.Manager, options Options) (*Added, error) {
	if err := registerMetrics(); err != nil {
		return nil, err
	}
	processMetrics.starting(options.Version, options.LeaseNotRenewedFor)
	options.events = newEventWriter(mgr.GetClient(), mgr.GetLogger(), processMetrics)
	options.slots = newReadSlots()
	s := &crdWaiter{mgr: mgr, options: options, readiness: newReadiness(mgr.GetLogger(), processMetrics)}
	return &Added{
		Ready:    func(*http.Request) error { return s.readiness.check() },
		Unserved: s.readiness.describeUnserved,
		Flush:    func() { options.events.stop(flushTimeout) },
	}, mgr.Add(s)
}

// Added is what Add hands to the process.
type Added struct {
	// Ready is the readiness check: it fails with what is waited for.
	Ready healthz.Checker

	// Unserved describes the namespaces that are not served, also while the process is ready
	// for the others.
	Unserved func() []string

	// Flush writes the events that are left. It is for when the manager has stopped.
	Flush func()
}

// crdWaiter sets the controllers up while the manager runs.
type crdWaiter struct {
	mgr       ctrl.Manager
	options   Options
	readiness *readiness
	kinds     []requestKind
	gauges    *gauges

	unselected sync.Once // all CertificateRequests are watched
}

// NeedLeaderElection is false: a standby has to be ready as well.
func (s *crdWaiter) NeedLeaderElection() bool { return false }

// Start serves the namespaces, each by itself, until ctx ends or the controllers of one cannot
// be set up.
func (s *crdWaiter) Start(ctx context.Context) error {
	if err := s.awaitKinds(ctx); err != nil {
		return nil //nolint:nilerr // the process is being stopped, which is no failure
	}
	s.kinds = s.options.requestKinds(s.mgr)
	s.gauges = &gauges{elected: s.mgr.Elected(), clock: s.options.Clock, kinds: s.kinds, issuers: s.options.issuerKinds()}
	checker, err := s.permissionChecker()
	if err != nil {
		return err
	}
	namespaces := s.options.scopeNamespaces()
	s.readiness.begin(namespaces)
	runners, ctx := errgroup.WithContext(ctx)
	for _, namespace := range namespaces {
		runner := namespaceRunner{namespace: namespace, check: checker.check, serve: s.serve, report: s.readiness.set}
		runners.Go(func() error { return runner.run(ctx) })
	}
	return runners.Wait()
}

func (s *crdWaiter) permissionChecker() (permissionChecker, error) {
	live, err := client.NewWithWatch(s.mgr.GetConfig(), client.Options{
		HTTPClient: s.mgr.GetHTTPClient(), Scheme: s.mgr.GetScheme(), Mapper: s.mgr.GetRESTMapper(),
	})
	if err != nil {
		return permissionChecker{}, fmt.Errorf("setting up a client: %w", err)
	}
	checker := permissionChecker{live: live}
	for _, object := range s.options.watchedObjects(s.kinds) {
		kind, err := apiutil.GVKForObject(object, s.mgr.GetScheme())
		if err != nil {
			return permissionChecker{}, err
		}
		checker.kinds = append(checker.kinds, kind)
	}
	return checker, nil
}

// serve begins to fill the caches of a namespace, and adds its controllers when they are full.
func (s *crdWaiter) serve(ctx context.Context, namespace string, selectable bool, refused func()) (*servedScope, error) {
	if !selectable {
		s.unselected.Do(func() { s.mgr.GetLogger().Info(unselectedMessage) })
	}
	caches := cacheOptions(selectable)
	caches.DefaultWatchErrorHandler = watchErrorHandler(refused)
	scope, err := newScope(s.mgr, namespace, caches)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	current := &servedScope{filled: make(chan struct{}), selectable: selectable}
	var filling sync.WaitGroup
	var gauges *scopeGauges
	filling.Go(func() {
		gauges, current.err = s.fill(ctx, scope)
		if ctx.Err() == nil {
			close(current.filled)
		}
	})
	current.stop = func() {
		cancel()
		filling.Wait()
		s.gauges.remove(gauges)
		scope.stop()
	}
	return current, nil
}

// fill returns nothing when ctx ends before the caches are full.
func (s *crdWaiter) fill(ctx context.Context, scope *scope) (*scopeGauges, error) {
	if filled, err := s.options.fill(ctx, scope, s.kinds); !filled || err != nil {
		return nil, err
	}
	gauges, err := s.options.setup(scope, s.kinds)
	if err != nil {
		return nil, err
	}
	s.gauges.add(gauges)
	processMetrics.started(s.gauges)
	return gauges, nil
}

// watchErrorHandler reports a refusal, which is logged once for the namespace, and has
// everything else logged as usual. A field selector that is not supported is a bad request.
func watchErrorHandler(refused func()) toolscache.WatchErrorHandlerWithContext {
	return func(ctx context.Context, r *toolscache.Reflector, err error) {
		forbidden := apierrors.IsForbidden(err)
		if forbidden || apierrors.IsBadRequest(err) {
			refused()
		}
		if !forbidden {
			toolscache.DefaultWatchErrorHandler(ctx, r, err)
		}
	}
}

// awaitKinds returns when the API server knows every kind that the controllers watch, or
// with an error when ctx ends.
func (s *crdWaiter) awaitKinds(ctx context.Context) error {
	return wait.PollUntilContextCancel(ctx, crdPollInterval, true, func(context.Context) (bool, error) {
		waiting := describeMissing(s.mgr.GetRESTMapper(), s.options.issuerKinds())
		if waiting != "" {
			s.readiness.wait(waiting)
		}
		return waiting == "", nil
	})
}

// describeMissing says which CustomResourceDefinitions are missing, and where they come
// from; nothing when all are there. The mapper asks for the API server's list of kinds, which
// every account may read, unlike the definitions themselves.
func describeMissing(mapper apimeta.RESTMapper, issuerKinds []string) string {
	origins := map[schema.GroupVersionKind]string{
		cmapi.SchemeGroupVersion.WithKind(cmapi.CertificateRequestKind): "cert-manager",
	}
	for _, kind := range issuerKinds {
		origins[selfsigned.GroupVersion.WithKind(kind)] = "deploy/crds of selfsigned-issuer"
	}
	var missing []string
	for kind, origin := range origins {
		if _, err := mapper.RESTMapping(kind.GroupKind(), kind.Version); apimeta.IsNoMatchError(err) {
			missing = append(missing, fmt.Sprintf("%s (from %s)", kind.GroupKind(), origin))
		} else if err != nil {
			return "waiting for the API server to list its kinds: " + printable(err.Error())
		}
	}
	if len(missing) == 0 {
		return ""
	}
	slices.Sort(missing)
	return "waiting for the CustomResourceDefinitions of " + strings.Join(missing, ", ")
}
