// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package faultproxy

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
)

func TestBodies(t *testing.T) {
	for name, test := range map[string]struct {
		fault   Fault
		works   bool
		atLeast time.Duration
	}{
		"answer lost": {LoseAnswer(), false, 0},
		"truncated":   {Truncate(), false, 0},
		"slow":        {Slow(100 * time.Millisecond), true, 100 * time.Millisecond},
		"cut":         {CutAfter(time.Nanosecond), false, 0},
		"never":       {Sometimes(0, Reset()), true, 0},
		"always":      {Sometimes(1, Reset()), false, 0},
		"one of":      {OneOf(Reset(), LoseAnswer()), false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			proxy, get := start(t)
			proxy.Inject(On("GET", "/a.*"), test.fault)
			begin := time.Now()
			status, body, err := get("/abcdefghij")
			if works := err == nil && status == http.StatusOK && body == "Bearer token /abcdefghij"; works != test.works {
				t.Errorf("got %d %q, %v", status, body, err)
			}
			if took := time.Since(begin); took < test.atLeast {
				t.Errorf("took %s, want at least %s", took, test.atLeast)
			}
		})
	}
}

func TestSilence(t *testing.T) {
	proxy, get := start(t)
	rule := proxy.Inject(On("GET", "/a"), Silence())
	answered := make(chan error, 1)
	go func() {
		_, _, err := get("/a")
		answered <- err
	}()
	for rule.Hits() == 0 {
		if _, _, err := get("/b"); err != nil {
			t.Fatal(err)
		}
	}
	proxy.CutConnections()
	if err := <-answered; err == nil {
		t.Error("got an answer")
	}
}

func TestHeader(t *testing.T) {
	answer := httptest.NewRecorder()
	fault := WithHeader("Retry-After", "1", Status(http.StatusTooManyRequests, "TooManyRequests", "slow down"))
	fault(nil).ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/a", nil))
	expect.True(t, answer.Code == http.StatusTooManyRequests && answer.Header().Get("Retry-After") == "1",
		"got %d with %v", answer.Code, answer.Header())
}
