// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build clustertest

package clustertest

import (
	"context"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// patience is how long a test waits for what has to come.
	patience  = 3 * time.Minute
	pollEvery = 100 * time.Millisecond
)

// await polls until done returns an empty string; otherwise it fails with what it returned.
func await(t *testing.T, what string, done func() string) {
	t.Helper()
	last := ""
	if err := wait.PollUntilContextTimeout(t.Context(), pollEvery, patience, true, func(context.Context) (bool, error) {
		last = done()
		return last == "", nil
	}); err != nil {
		t.Fatalf("%s: %s (%v)", what, last, err)
	}
}

func create(t *testing.T, object client.Object) {
	t.Helper()
	if err := env.Client.Create(t.Context(), object); err != nil {
		t.Fatalf("creating %T %s: %v", object, client.ObjectKeyFromObject(object), err)
	}
}

func get(t *testing.T, object client.Object) {
	t.Helper()
	if err := env.Client.Get(t.Context(), client.ObjectKeyFromObject(object), object); err != nil {
		t.Fatalf("getting %T %s: %v", object, client.ObjectKeyFromObject(object), err)
	}
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
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	output, err := kubectl.Run(ctx, args...)
	if err != nil {
		t.Error(err)
	} else if t.Failed() {
		t.Logf("kubectl %v:\n%s", args, output)
	}
}
