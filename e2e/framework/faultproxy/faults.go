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
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Fault changes how a request is answered; next is the way to the API server.
type Fault func(next http.Handler) http.Handler

// Status answers as an API server does that refuses, without asking the real one.
func Status(code int32, reason metav1.StatusReason, message string) Fault {
	body, _ := json.Marshal(metav1.Status{ // plain strings: it never fails
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
			_, _ = w.Write(body) // who has gone misses nothing
		})
	}
}

// Reset closes the connection without an answer.
func Reset() Fault {
	return func(http.Handler) http.Handler {
		return http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	}
}

// Delay passes the request on after a while.
func Delay(d time.Duration) Fault {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			select {
			case <-time.After(d):
				next.ServeHTTP(w, r)
			case <-r.Context().Done():
				panic(http.ErrAbortHandler)
			}
		})
	}
}

// Gate holds requests back until it is opened, and then passes them on, even if their sender
// has gone: what the network has taken still arrives. It must be opened in the end.
type Gate struct {
	arrived, opened chan struct{}
	arrive, open    sync.Once
}

// NewGate returns a closed gate.
func NewGate() *Gate { return &Gate{arrived: make(chan struct{}), opened: make(chan struct{})} }

// Arrived is closed when the first request stands before the gate.
func (g *Gate) Arrived() <-chan struct{} { return g.arrived }

// Open lets all requests pass from now on. It may be called twice.
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

// Record changes nothing, and reports the status of each answer.
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

// WriteHeader passes the status on.
func (r *recorder) WriteHeader(status int) {
	r.report(status)
	r.ResponseWriter.WriteHeader(status)
}

// Unwrap lets the proxy flush.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
