// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package faultproxy

import (
	"bytes"
	"context"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"time"
)

// Sometimes injects a fault into a random share of the requests, from 0 to 1.
func Sometimes(share float64, fault Fault) Fault {
	return func(next http.Handler) http.Handler {
		disturbed := fault(next)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if rand.Float64() < share {
				disturbed.ServeHTTP(w, r)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// OneOf injects one of several faults, at random.
func OneOf(faults ...Fault) Fault {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			faults[rand.IntN(len(faults))](next).ServeHTTP(w, r)
		})
	}
}

// WithHeader adds a header to the response of another fault.
func WithHeader(name, value string, fault Fault) Fault {
	return func(next http.Handler) http.Handler {
		disturbed := fault(next)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set(name, value)
			disturbed.ServeHTTP(w, r)
		})
	}
}

// Silence never responds, and does not forward the request.
func Silence() Fault {
	return func(http.Handler) http.Handler {
		return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // only then the server notices that the client has disconnected
			<-r.Context().Done()
			panic(http.ErrAbortHandler)
		})
	}
}

// LoseAnswer forwards the request, and closes the connection without a response.
func LoseAnswer() Fault { return truncated(func(int) int { return 0 }) }

// Truncate forwards the request, and sends half of the response body.
func Truncate() Fault { return truncated(func(length int) int { return length / 2 }) }

func truncated(keep func(length int) int) Fault {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			answer := record(next, r)
			body := answer.Body.Bytes()
			if kept := body[:keep(len(body))]; len(kept) > 0 {
				copyHead(w, answer, len(body))
				_, _ = w.Write(kept) // the client may have disconnected
				_ = http.NewResponseController(w).Flush()
			}
			panic(http.ErrAbortHandler)
		})
	}
}

// Slow forwards the request, and sends the response body slowly, in pieces.
func Slow(whole time.Duration) Fault {
	const pieces = 10
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			answer := record(next, r)
			body := answer.Body.Bytes()
			copyHead(w, answer, len(body))
			for i := range pieces {
				_, _ = w.Write(body[len(body)*i/pieces : len(body)*(i+1)/pieces])
				_ = http.NewResponseController(w).Flush()
				if !last(r.Context(), whole/pieces) {
					panic(http.ErrAbortHandler)
				}
			}
		})
	}
}

// CutAfter forwards the request, and closes the connection after a random time of up to most: for
// watches, which do not end.
func CutAfter(most time.Duration) Fault {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ctx, cancel := context.WithTimeout(r.Context(), rand.N(most))
			defer cancel()
			next.ServeHTTP(w, r.WithContext(ctx))
			panic(http.ErrAbortHandler)
		})
	}
}

// record returns the complete response of the API server.
func record(next http.Handler, r *http.Request) *httptest.ResponseRecorder {
	answer := httptest.NewRecorder()
	answer.Body = &bytes.Buffer{}
	next.ServeHTTP(answer, r)
	return answer
}

func copyHead(w http.ResponseWriter, answer *httptest.ResponseRecorder, length int) {
	maps.Copy(w.Header(), answer.Header())
	w.Header().Set("Content-Length", strconv.Itoa(length))
	w.WriteHeader(answer.Code)
}

// last waits for d and reports whether the client is still connected.
func last(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}
