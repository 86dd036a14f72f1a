// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build clustertest

package cluster

import (
	"context"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
)

// timeout is how long a test waits for what has to come.
const timeout = 3 * time.Minute

// await polls until done returns an empty string; otherwise it fails with what it returned.
func await(t *testing.T, what string, done func() string) {
	t.Helper()
	expect.Soon(t, what, timeout, nil, func(context.Context) string { return done() })
}

func create(t *testing.T, object client.Object) {
	t.Helper()
	expect.Created(t, env.Client, object)
}

func get(t *testing.T, object client.Object) {
	t.Helper()
	expect.There(t, env.Client, object)
}

// run runs kubectl, which has to succeed.
func run(t *testing.T, args ...string) {
	t.Helper()
	if _, err := kubectl.Run(t.Context(), args...); err != nil {
		t.Fatal(err)
	}
}

// show runs kubectl once the test is over, and prints what it says if that failed.
func show(t *testing.T, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	output, err := kubectl.Run(ctx, args...)
	if err != nil {
		t.Error(err)
	} else if t.Failed() {
		t.Logf("kubectl %v:\n%s", args, output)
	}
}
