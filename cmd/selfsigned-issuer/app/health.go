// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
)

// probes serves the probes of the kubelet, also before the manager is created: selfsigned-issuer is healthy
// but not ready while it waits for the API server.
type probes struct {
	ready    atomic.Pointer[healthz.Checker]
	unserved atomic.Pointer[func() []string]
}

func newProbes() *probes {
	p := &probes{}
	p.setNotReady(errors.New("starting"))
	return p
}

// setReadiness replaces the readiness check.
func (p *probes) setReadiness(check healthz.Checker) { p.ready.Store(&check) }

// setNotReady makes the readiness check fail with a reason.
func (p *probes) setNotReady(reason error) {
	p.setReadiness(func(*http.Request) error { return reason })
}

// setUnserved adds lines to /readyz?verbose. They do not change the status.
func (p *probes) setUnserved(describe func() []string) { p.unserved.Store(&describe) }

func (p *probes) checkReadiness(request *http.Request) error { return (*p.ready.Load())(request) }

func (p *probes) handler() http.Handler {
	mux := http.NewServeMux()
	for path, handler := range map[string]http.Handler{
		"/healthz": &healthz.Handler{Checks: map[string]healthz.Checker{"ping": healthz.Ping}},
		"/readyz":  p.withUnserved(&healthz.Handler{Checks: map[string]healthz.Checker{"controllers": p.checkReadiness}}),
	} {
		handler = http.StripPrefix(path, handler)
		mux.Handle(path, handler)
		mux.Handle(path+"/", handler)
	}
	return mux
}

// withUnserved adds the namespaces that are not served to a verbose response.
func (p *probes) withUnserved(handler http.Handler) http.Handler {
	return http.HandlerFunc(func(response http.ResponseWriter, request *http.Request) {
		handler.ServeHTTP(response, request)
		if describe := p.unserved.Load(); describe != nil && request.URL.Query().Has("verbose") {
			for _, line := range (*describe)() {
				fmt.Fprintf(response, "[!]%s\n", line)
			}
		}
	})
}

// serve listens on the address until stop is called.
func (p *probes) serve(ctx context.Context, address string, logger logr.Logger) (stop func(), err error) {
	if address == noAddress {
		return func() {}, nil
	}
	server, err := newServer(ctx, "health probe", address, p.handler(), nil, logger)
	if err != nil {
		return nil, err
	}
	// The server outlives ctx, because the manager stops later.
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		if err := server.Start(ctx); err != nil {
			logger.Error(err, "The health probe server failed")
		}
	}()
	return func() { cancel(); <-stopped }, nil
}
