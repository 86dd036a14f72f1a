// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package expect

import (
	"context"
	"fmt"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Rights waits until the API server goes by a role or binding that the test has changed, which
// it learns of as late as every other watcher: allowed says what a user may now.
func Rights(t *testing.T, c client.Client, patience time.Duration, user string, allowed bool, what authorizationv1.ResourceAttributes) {
	t.Helper()
	Soon(t, fmt.Sprintf("%s: %s %s: %t", user, what.Verb, what.Resource, allowed), patience, nil, func(ctx context.Context) string {
		review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{User: user, ResourceAttributes: &what}}
		if err := c.Create(ctx, review); err != nil {
			return err.Error()
		}
		if review.Status.Allowed != allowed {
			return fmt.Sprintf("allowed: %t, %s", review.Status.Allowed, review.Status.Reason)
		}
		return ""
	})
}
