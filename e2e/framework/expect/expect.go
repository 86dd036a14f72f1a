// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package expect creates, reads and waits for objects in tests.
package expect

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/poll"
)

// Poll calls check until it returns nil, or returns its last error after timeout.
func Poll(ctx context.Context, timeout time.Duration, check func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return poll.Until(ctx, check)
}

// Eventually waits until check returns nil. The test fails with its last error after timeout.
func Eventually(t *testing.T, what string, timeout time.Duration, check func(context.Context) error) {
	t.Helper()
	if err := Poll(t.Context(), timeout, check); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// NoDiff returns the difference of two values as an error.
func NoDiff(want, got any) error {
	if diff := cmp.Diff(want, got); diff != "" {
		return fmt.Errorf("(-want +got):\n%s", diff)
	}
	return nil
}

// Create creates an object.
func Create(t *testing.T, c client.Client, object client.Object) {
	t.Helper()
	if err := c.Create(t.Context(), object); err != nil {
		t.Fatalf("creating %T %s: %v", object, client.ObjectKeyFromObject(object), err)
	}
}

// Get reads an object.
func Get(t *testing.T, c client.Client, object client.Object) {
	t.Helper()
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(object), object); err != nil {
		t.Fatalf("getting %T %s: %v", object, client.ObjectKeyFromObject(object), err)
	}
}

// NewNamespace creates a namespace with the labels, whose values are "true".
func NewNamespace(t *testing.T, c client.Client, labels ...string) string {
	t.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "e2e-", Labels: map[string]string{}}}
	for _, label := range labels {
		namespace.Labels[label] = "true"
	}
	Create(t, c, namespace)
	return namespace.Name
}
