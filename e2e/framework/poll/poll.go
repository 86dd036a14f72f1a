// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package poll waits for conditions that cannot be watched.
package poll

import (
	"context"
	"fmt"
	"time"
)

const interval = 50 * time.Millisecond

// Until calls check until it returns nil, or returns its last error when ctx ends.
func Until(ctx context.Context, check func(context.Context) error) error {
	return UntilStopped(ctx, check, func() error { return nil })
}

// UntilStopped also ends with the first error of stopped.
func UntilStopped(ctx context.Context, check func(context.Context) error, stopped func() error) error {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	var last error
	for {
		err := check(ctx)
		if err == nil {
			return nil
		}
		if last == nil || ctx.Err() == nil { // an error of a canceled check explains less
			last = err
		}
		if err := stopped(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w (%w)", last, context.Cause(ctx))
		case <-ticker.C:
		}
	}
}
