// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/healthz"
)

// TestVerboseReadiness: a namespace that is not served is named, and changes no status.
func TestVerboseReadiness(t *testing.T) {
	t.Parallel()
	p := newProbes()
	const line = "Namespace tenant-b is not served: selfsigned-issuer is not allowed to list secrets there."
	for _, step := range []struct {
		change func()
		path   string
		status int
		body   string
	}{
		{func() {}, "/readyz?verbose", 500, "[-]controllers failed: reason withheld\nhealthz check failed\n"},
		{func() { p.setReadiness(healthz.Ping) }, "/readyz?verbose", 200, "[+]controllers ok\nhealthz check passed\n"},
		{
			func() { p.setUnserved(func() []string { return []string{line} }) },
			"/readyz?verbose", 200, "[+]controllers ok\nhealthz check passed\n[!]" + line + "\n",
		},
		{func() {}, "/readyz", 200, "ok"},
		{func() {}, "/readyz/controllers", 200, "ok"},
		{func() {}, "/healthz?verbose", 200, "[+]ping ok\nhealthz check passed\n"},
		{func() { p.setNotReady(errors.New("none is served")) }, "/readyz/controllers", 500, "internal server error: none is served\n"},
	} {
		step.change()
		response := httptest.NewRecorder()
		p.handler().ServeHTTP(response, httptest.NewRequest(http.MethodGet, step.path, http.NoBody))
		if response.Code != step.status || response.Body.String() != step.body {
			t.Errorf("%s answers %d %q, want %d %q", step.path, response.Code, response.Body, step.status, step.body)
		}
	}
}
