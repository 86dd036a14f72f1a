// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package faultproxy

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Fault changes the response to a request; next forwards to the API server.
type Fault func(next http.Handler) http.Handler

// Status responds with an API error, without forwarding the request.
func Status(code int32, reason metav1.StatusReason, message string) Fault {
	body, _ := json.Marshal(metav1.Status{ // it never fails for strings
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"},
		Status:   metav1.StatusFailure,
		Code:     code,
		Reason:   reason,
		Message:  message,
	})
	return func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(int(code))
			_, _ = w.Write(body) // the client may have disconnected
		})
	}
}

// Reset closes the connection without a response.
func Reset() Fault {
	return func(http.Handler) http.Handler {
		return http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	}
}

// Gate holds requests until it is opened, and then forwards them, even if the client has
// disconnected, as a network does. It must be opened in the end.
type Gate struct {
	arrived, opened chan struct{}
	arrive, open    sync.Once
}

// NewGate returns a closed gate.
func NewGate() *Gate { return &Gate{arrived: make(chan struct{}), opened: make(chan struct{})} }

// Arrived is closed when the gate holds the first request.
func (g *Gate) Arrived() <-chan struct{} { return g.arrived }

// Open forwards all requests from now on. It may be called twice.
func (g *Gate) Open() { g.open.Do(func() { close(g.opened) }) }

// Hold is the fault.
func (g *Gate) Hold(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		g.arrive.Do(func() { close(g.arrived) })
		<-g.opened
		ctx, cancel := context.WithCancel(context.WithoutCancel(r.Context()))
		defer cancel()
		r = r.WithContext(ctx)
		r.Body = io.NopCloser(bytes.NewReader(body))
		next.ServeHTTP(w, r)
	})
}

// Record changes nothing, and reports the status of each response.
func Record(report func(status int)) Fault {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(&recorder{w, report}, r)
		})
	}
}

type recorder struct {
	http.ResponseWriter
	report func(status int)
}

// WriteHeader reports the status.
func (r *recorder) WriteHeader(status int) {
	r.report(status)
	r.ResponseWriter.WriteHeader(status)
}

// Unwrap allows the proxy to flush.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
