// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestReadSlots: one namespace cannot use all slots, and a released slot is used again. No state is
// kept for a namespace without slots in use.
func TestReadSlots(t *testing.T) {
	t.Parallel()
	slots := newReadSlots()
	expired, cancel := context.WithCancel(t.Context())
	cancel()
	take := func(namespace string) (func(), bool) {
		t.Helper()
		release, retryAfter, err := slots.TryAcquire(expired, namespace)
		if release == nil && retryAfter == 0 && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		return release, release != nil
	}
	var releases []func()
	for i := range maxLiveReads / maxNamespaceLiveReads {
		for range maxNamespaceLiveReads {
			release, ok := take(fmt.Sprint("tenant-", i))
			if !ok {
				t.Fatal("a free slot was not given")
			}
			releases = append(releases, release)
		}
		if _, ok := take(fmt.Sprint("tenant-", i)); ok {
			t.Errorf("tenant-%d has more than %d slots", i, maxNamespaceLiveReads)
		}
	}
	if _, ok := take("neighbor"); ok {
		t.Errorf("more than %d slots are taken", maxLiveReads)
	}
	releases[0]()
	release, ok := take("neighbor")
	if !ok {
		t.Fatal("a slot that was given back was not given again")
	}
	release()
	for _, release := range releases[1:] {
		release()
	}
	if len(slots.keys) > 0 {
		t.Errorf("%d namespaces are remembered", len(slots.keys))
	}
}

// TestSlotRetries: any number of callers without a slot retry one after the other, and soon.
func TestSlotRetries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		slots := NewFairSlots(1, 1)
		release, _, err := slots.TryAcquire(t.Context(), "tenant")
		if err != nil {
			t.Fatal(err)
		}
		defer release()
		for i := range 100_000 {
			_, retryAfter, err := slots.TryAcquire(t.Context(), "tenant")
			if err != nil {
				t.Fatal(err)
			}
			next := minRetryDelay + time.Duration(i)*time.Second/retryRate
			earliest, latest := next-time.Microsecond, next+time.Microsecond // it is rounded
			if next >= maxRetryDelay {
				earliest, latest = maxRetryDelay/2, maxRetryDelay
			}
			if retryAfter < earliest || retryAfter > latest {
				t.Fatalf("attempt %d is to be repeated after %s, want %s to %s", i, retryAfter, earliest, latest)
			}
		}
	})
}

// TestSlotRetriesOfManyKeys: 40 keys without a free slot do not retry more often than one. Each
// caller retries after this delay, like the work queue.
func TestSlotRetriesOfManyKeys(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const keys, callers, duration = 40, 50, 10 * time.Second
		slots := NewFairSlots(keys, 1)
		ctx, cancel := context.WithTimeout(t.Context(), duration)
		defer cancel()
		var retries atomic.Int64
		var running sync.WaitGroup
		for key := range keys {
			release, _, err := slots.TryAcquire(ctx, fmt.Sprint(key))
			if err != nil {
				t.Fatal(err)
			}
			defer release()
			for range callers {
				running.Go(func() {
					for ctx.Err() == nil {
						_, retryAfter, _ := slots.TryAcquire(ctx, fmt.Sprint(key))
						retries.Add(1)
						time.Sleep(retryAfter) //nolint:forbidigo // of synctest
					}
				})
			}
		}
		running.Wait()
		if got, limit := retries.Load(), int64(1.1*retryRate*duration.Seconds()+keys*callers); got > limit {
			t.Errorf("%d retries in %s, want at most %d", got, duration, limit)
		}
	})
}
