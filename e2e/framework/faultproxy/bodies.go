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

// Sometimes lets a fault happen to a share of the requests, 0 to 1, at random.
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

// OneOf lets one of several faults happen, at random.
func OneOf(faults ...Fault) Fault {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			faults[rand.IntN(len(faults))](next).ServeHTTP(w, r)
		})
	}
}

// WithHeader adds a header to the answer of another fault.
func WithHeader(name, value string, fault Fault) Fault {
	return func(next http.Handler) http.Handler {
		disturbed := fault(next)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set(name, value)
			disturbed.ServeHTTP(w, r)
		})
	}
}

// Silence never answers, and does not pass the request on: the client has to give up.
func Silence() Fault {
	return func(http.Handler) http.Handler {
		return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // only then the server looks whether the client has gone
			<-r.Context().Done()
			panic(http.ErrAbortHandler)
		})
	}
}

// LoseAnswer passes the request on, and closes the connection instead of answering.
func LoseAnswer() Fault { return truncated(func(int) int { return 0 }) }

// Truncate passes the request on, and cuts the body of the answer in the middle.
func Truncate() Fault { return truncated(func(length int) int { return length / 2 }) }

func truncated(keep func(length int) int) Fault {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			answer := record(next, r)
			body := answer.Body.Bytes()
			if kept := body[:keep(len(body))]; len(kept) > 0 {
				copyHead(w, answer, len(body))
				_, _ = w.Write(kept) // who has gone misses nothing
				_ = http.NewResponseController(w).Flush()
			}
			panic(http.ErrAbortHandler)
		})
	}
}

// Slow passes the request on, and takes a while to send the body of the answer, in pieces.
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

// CutAfter passes the request on, and closes the connection after a while, at random up to
// most: for watches, which have no end.
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

// record asks the API server for a whole answer. If it does not give one, neither does the
// proxy.
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

// last waits for d and reports whether the client is still there.
func last(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}
