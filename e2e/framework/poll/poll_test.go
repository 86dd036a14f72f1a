// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package poll

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

func TestUntil(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin, calls := time.Now(), 0
		if err := Until(t.Context(), func(context.Context) error {
			if calls++; calls < 3 {
				return errors.New("too early")
			}
			return nil
		}); err != nil || time.Since(begin) != 2*interval {
			t.Errorf("ended after %s with %v, want 2 intervals and no error", time.Since(begin), err)
		}
	})
}

// TestLastError expects the error that explains why check did not succeed in time.
func TestLastError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		calls := 0
		err := Until(ctx, func(ctx context.Context) error {
			if calls++; calls < 3 {
				return fmt.Errorf("reason %d", calls)
			}
			<-ctx.Done()
			return ctx.Err()
		})
		if want := "reason 2 (context deadline exceeded)"; err == nil || err.Error() != want {
			t.Errorf("error %v, want %s", err, want)
		}
	})
}

func TestUntilStopped(t *testing.T) {
	ended := errors.New("ended")
	check := func(context.Context) error { return errors.New("not ready") }
	if err := UntilStopped(t.Context(), check, func() error { return ended }); !errors.Is(err, ended) {
		t.Errorf("error %v, want %v", err, ended)
	}
}
