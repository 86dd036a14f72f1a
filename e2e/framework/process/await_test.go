// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
)

// TestAwait expects that a process that does not get ready is reported with the reason.
func TestAwait(t *testing.T) {
	notReady := func(context.Context) error { return errors.New("no answer") }
	expectError := func(err error, parts ...string) {
		t.Helper()
		for _, part := range parts {
			expect.True(t, err != nil && strings.Contains(err.Error(), part), "error %v, want one with %q", err, part)
		}
	}

	running := shell(t, "echo ready; exec sleep 1000")
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	expectError(running.Await(canceled, notReady), "child is not ready: no answer (context canceled)", "\nready")

	ended := startShell(t, "exit 3", nil)
	expectError(ended.Await(t.Context(), notReady), "child ended unexpectedly (exit status 3)")

	expect.NoError(t, running.Kill())
	expectError(running.Await(t.Context(), notReady), "child was stopped before it was ready")
}
