// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/healthz"

	selfsigned "github.com/cert-manager/selfsigned-issuer/api/v1alpha1"
)

// crdPoll is how often the API server is asked for kinds that it does not know yet.
const crdPoll = 2 * time.Second

// Add makes the manager run the controllers as soon as the API server knows their kinds:
// the plugin may be installed before cert-manager. Until then the process is up, not ready,
// and says what it waits for.
func Add(mgr ctrl.Manager, options Options) (*Added, error) {
	if err := registerMetrics(); err != nil {
		return nil, err
	}
	processMetrics.starting(options.Version)
	options.events = newEventWriter(mgr.GetClient(), mgr.GetLogger(), processMetrics)
	s := &starter{mgr: mgr, options: options}
	s.state.Store(&starterState{errors.New("starting")})
	return &Added{Ready: s.ready, Flush: func() { options.events.stop(flushTimeout) }}, mgr.Add(s)
}

// Added is what Add hands to the process.
type Added struct {
	// Ready is the readiness check: it fails with what is waited for.
	Ready healthz.Checker

	// Flush writes the events that are left. It is for when the manager has stopped.
	Flush func()
}

// starter sets the controllers up while the manager runs.
type starter struct {
	mgr     ctrl.Manager
	options Options
	state   atomic.Pointer[starterState]
}

// starterState holds why the process is not ready; nil once it is.
type starterState struct{ notReady error }

// NeedLeaderElection is false: a standby has to be ready as well.
func (s *starter) NeedLeaderElection() bool { return false }

// Start returns when the controllers run and their caches are filled.
func (s *starter) Start(ctx context.Context) error {
	if err := s.awaitKinds(ctx); err != nil {
		return nil //nolint:nilerr // the process is being stopped, which is no failure
	}
	s.state.Store(&starterState{errors.New("filling the caches")})
	gauges, err := s.options.setup(ctx, s.mgr)
	if err != nil {
		return err
	}
	if s.mgr.GetCache().WaitForCacheSync(ctx) {
		s.state.Store(&starterState{})
		processMetrics.started(gauges)
		s.mgr.GetLogger().Info("Ready to sign")
	}
	return nil
}

func (s *starter) ready(*http.Request) error { return s.state.Load().notReady }

// awaitKinds returns when the API server knows every kind that the controllers watch, or
// with an error when ctx ends.
func (s *starter) awaitKinds(ctx context.Context) error {
	var reported string
	return wait.PollUntilContextCancel(ctx, crdPoll, true, func(context.Context) (bool, error) {
		waiting := describeMissing(s.mgr.GetRESTMapper(), s.options.issuerKinds())
		if waiting != "" && waiting != reported {
			s.state.Store(&starterState{errors.New(waiting)})
			s.mgr.GetLogger().Info("Not ready: " + waiting)
			reported = waiting
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
