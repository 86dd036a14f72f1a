// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package poll waits for conditions that cannot be watched.
package poll

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

const interval = 50 * time.Millisecond

// Until calls check until it returns nil, or returns its last error when ctx ends.
func Until(ctx context.Context, check func(context.Context) error) error {
	return UntilStopped(ctx, check, func() error { return nil })
}

// UntilStopped also ends with the first error of stopped.
func UntilStopped(ctx context.Context, check func(context.Context) error, stopped func() error) error {
	var last error
	err := wait.PollUntilContextCancel(ctx, interval, true, func(ctx context.Context) (done bool, err error) {
		if err = check(ctx); err == nil {
			return true, nil
		}
		if last == nil || ctx.Err() == nil { // an error of a canceled check explains less
			last = err
		}
		return false, stopped()
	})
	if wait.Interrupted(err) {
		return fmt.Errorf("%w (%w)", last, context.Cause(ctx))
	}
	return err
}
