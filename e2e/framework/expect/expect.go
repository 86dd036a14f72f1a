// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package expect has what end-to-end tests do with objects. What does not come out as expected
// ends the test.
package expect

import (
	"context"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// pollEvery is how often something that is awaited is looked at.
const pollEvery = 20 * time.Millisecond

// Soon polls until done returns an empty string; what it returns otherwise says what is
// missing. It gives up after timeout, which is generous: a slow machine makes a test slow, and
// not red. Explain adds to the failure, and may be nil.
func Soon(t *testing.T, what string, timeout time.Duration, explain func() string, done func(context.Context) string) {
	t.Helper()
	var last string
	err := wait.PollUntilContextTimeout(t.Context(), pollEvery, timeout, true, func(ctx context.Context) (bool, error) {
		last = done(ctx)
		return last == "", nil
	})
	if err == nil {
		return
	}
	explanation := ""
	if explain != nil {
		explanation = "\n" + explain()
	}
	t.Fatalf("%s: %s (%v)%s", what, last, err, explanation)
}

// Created creates an object.
func Created(t *testing.T, c client.Client, object client.Object) {
	t.Helper()
	if err := c.Create(t.Context(), object); err != nil {
		t.Fatalf("creating %T %s: %v", object, client.ObjectKeyFromObject(object), err)
	}
}

// There reads an object, which has to be there.
func There(t *testing.T, c client.Client, object client.Object) {
	t.Helper()
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(object), object); err != nil {
		t.Fatalf("getting %T %s: %v", object, client.ObjectKeyFromObject(object), err)
	}
}
