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
	"github.com/cert-manager/selfsigned-issuer/controllers/internal/events"
	"github.com/cert-manager/selfsigned-issuer/controllers/internal/metrics"
	"github.com/cert-manager/selfsigned-issuer/controllers/internal/outcome"
	"github.com/cert-manager/selfsigned-issuer/controllers/internal/request"
)

// crdPollInterval is the interval of discovery until the CRDs are installed.
const crdPollInterval = 2 * time.Second

// SetupWithManager makes the manager run the controllers as soon as the CRDs are installed. Until then,
// selfsigned-issuer runs, is not ready and reports the missing CRDs.
func SetupWithManager(mgr ctrl.Manager, options Options) (*Hooks, error) {
	m, err := metrics.Registered()
	if err != nil {
		return nil, err
	}
	m.Starting(options.Version, options.LeaseNotRenewedFor)
	options.metrics, options.events = m, events.New(mgr.GetClient(), mgr.GetLogger(), m.EventsDropped)
	options.slots = newReadSlots(options.Concurrency)
	s := &crdWaiter{mgr: mgr, options: options, readiness: newReadiness(mgr.GetLogger(), m)}
	return &Hooks{
		Ready:    func(*http.Request) error { return s.readiness.check() },
		Unserved: s.readiness.describeUnserved,
		Flush:    func() { options.events.Stop(events.FlushTimeout) },
	}, mgr.Add(s)
}

// Hooks are for the program that runs the manager.
type Hooks struct {
	// Ready is the readiness check. Its error has the reason.
	Ready healthz.Checker

	// Unserved describes the namespaces that are not served.
	Unserved func() []string

	// Flush writes the queued events. It must be called when the manager has stopped, so that another
	// replica gets the Lease before.
	Flush func()
}

// crdWaiter sets up the controllers while the manager runs.
type crdWaiter struct {
	mgr       ctrl.Manager
	options   Options
	readiness *readiness
	kinds     []request.Kind
	collector *metrics.Collector

	collect    sync.Once // when the first caches are filled
	unselected sync.Once // if all CertificateRequests are watched
}

// NeedLeaderElection is false: a standby must be ready.
func (s *crdWaiter) NeedLeaderElection() bool { return false }

// Start serves the namespaces until ctx ends or the controllers of one cannot be set up.
func (s *crdWaiter) Start(ctx context.Context) error {
	if err := s.awaitKinds(ctx); err != nil {
		return nil //nolint:nilerr // ctx has ended, which is not an error
	}
	s.kinds = s.options.requestKinds(s.mgr)
	s.collector = s.options.metrics.NewCollector(s.options.Clock, s.kinds, s.options.issuerKinds())
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

// serve starts the caches of a namespace, and its controllers when the caches are filled.
func (s *crdWaiter) serve(ctx context.Context, namespace string, selectable bool, refused func()) (*servedScope, error) {
	if !selectable {
		s.unselected.Do(func() { s.mgr.GetLogger().Info(unselectedMessage) })
	}
	caches := s.options.cacheOptions(s.kinds, selectable)
	caches.DefaultWatchErrorHandler = watchErrorHandler(refused)
	scope, err := newScope(s.mgr, namespace, caches)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	current := &servedScope{filled: make(chan struct{}), selectable: selectable}
	var filling sync.WaitGroup
	var gauges *metrics.Scope
	filling.Go(func() {
		gauges, current.err = s.fill(ctx, scope)
		if ctx.Err() == nil {
			close(current.filled)
		}
	})
	current.stop = func() {
		cancel()
		filling.Wait()
		s.collector.Remove(gauges)
		scope.stop()
	}
	return current, nil
}

// fill returns nil if ctx ends before the caches are filled.
func (s *crdWaiter) fill(ctx context.Context, scope *scope) (*metrics.Scope, error) {
	if filled, err := s.options.fill(ctx, scope, s.kinds); !filled || err != nil {
		return nil, err
	}
	gauges, err := s.options.setup(scope, s.kinds)
	if err != nil {
		return nil, err
	}
	s.collector.Add(gauges)
	s.collect.Do(func() {
		s.options.metrics.Started(s.kinds)
		err = s.mgr.Add(s.collector)
	})
	return gauges, err
}

// watchErrorHandler reports a refusal, which is logged once for the namespace. Other errors are
// logged as usual. BadRequest means that the field selector is not supported.
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

// awaitKinds returns when the CRDs of all kinds that the controllers watch are installed, or with
// an error when ctx ends.
func (s *crdWaiter) awaitKinds(ctx context.Context) error {
	return wait.PollUntilContextCancel(ctx, crdPollInterval, true, func(context.Context) (bool, error) {
		waiting := describeMissing(s.mgr.GetRESTMapper(), s.options.issuerKinds())
		if waiting != "" {
			s.readiness.wait(waiting)
		}
		return waiting == "", nil
	})
}

// describeMissing returns which CustomResourceDefinitions are missing, and where they come from;
// empty if none is. The mapper uses discovery, which every account is allowed to use.
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
			return "waiting for API discovery: " + outcome.Printable(err.Error())
		}
	}
	if len(missing) == 0 {
		return ""
	}
	slices.Sort(missing)
	return "waiting for the CustomResourceDefinitions of " + strings.Join(missing, ", ")
}
