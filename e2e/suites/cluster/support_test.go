// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build clustertest

package cluster

import (
	"context"
	"testing"
	"time"
)

// timeout is how long a test waits.
const timeout = 3 * time.Minute

// run runs kubectl, which must succeed.
func run(t *testing.T, args ...string) {
	t.Helper()
	if _, err := kubectl.Run(t.Context(), args...); err != nil {
		t.Fatal(err)
	}
}

// show runs kubectl and logs its output if the test has failed.
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
