// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// readiness is true after the controllers' caches have synced.
type readiness struct{ atomic.Bool }

// ServeHTTP returns 200 if ready, otherwise 503.
func (r *readiness) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	if !r.Load() {
		http.Error(w, "the controllers' caches have not synced yet", http.StatusServiceUnavailable)
	}
}

// serveHealth serves /readyz until the context ends. cert-manager's health server has only /livez,
// which does not show whether the caches have synced.
func serveHealth(ctx context.Context, address string, ready *readiness) error {
	mux := http.NewServeMux()
	mux.Handle("GET /readyz", ready)
	return serve(ctx, address, func(net.Listener) *http.Server {
		return &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	})
}

// serve runs a server until the context ends.
func serve(ctx context.Context, address string, newServer func(net.Listener) *http.Server) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	server := newServer(listener)
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(listener); ctx.Err() == nil {
		return fmt.Errorf("server at %s: %w", address, err)
	}
	return nil
}
