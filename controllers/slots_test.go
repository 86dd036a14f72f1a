// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
)

// TestFairSlots: one key cannot use all slots, and a released slot is used again. No state is kept
// for a key without slots in use.
func TestFairSlots(t *testing.T) {
	t.Parallel()
	const total, perKey = 6, 4
	slots := NewFairSlots(total, perKey)
	expired, cancel := context.WithCancel(t.Context())
	cancel()
	var releases []func()
	take := func(key string, count, want int) {
		t.Helper()
		got := 0
		for range count {
			release, err := slots.Acquire(expired, key)
			if err != nil && !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			if err == nil {
				got++
				releases = append(releases, release)
			}
		}
		if got != want {
			t.Errorf("%s got %d slots, want %d", key, got, want)
		}
	}
	take("tenant", 10, perKey)
	take("neighbor", 10, total-perKey)
	take("another", 1, 0)
	releases[0]()
	take("another", 10, 1)
	for _, release := range releases[1:] {
		release()
	}
	if len(slots.keys) > 0 || slots.free != total {
		t.Errorf("%d keys are remembered, %d slots are free", len(slots.keys), slots.free)
	}
}

// TestReadSlots: the slots of a namespace are fewer than the workers, for any number of workers.
func TestReadSlots(t *testing.T) {
	t.Parallel()
	for workers, want := range map[int][6]int{
		1: {1, 1, 1, 1, 1, 1}, 20: {10, 6, 5, 3, 2, 1}, 100: {48, 32, 16, 10, 4, 2}, 1000: {48, 32, 16, 10, 4, 2},
	} {
		slots := newReadSlots(workers)
		fast, pending, large := slots.of(false, false), slots.of(true, false), slots.of(true, true)
		if got := [6]int{fast.free, fast.perKey, pending.free, pending.perKey, large.free, large.perKey}; got != want {
			t.Errorf("%d workers have the slots %v, want %v", workers, got, want)
		}
		if slots.of(false, true) != large {
			t.Error("a new large request uses the slots of small ones")
		}
	}
}

// TestSlotOrder: callers of one key get slots in their order, and keys get slots in turn. A caller
// that does not wait any more leaves no gap.
func TestSlotOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		slots := NewFairSlots(1, 1)
		release, err := slots.Acquire(t.Context(), "tenant")
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		ends := map[string]context.CancelFunc{}
		for _, caller := range []string{"tenant 1", "tenant 2", "tenant 3", "tenant 4", "neighbor 1", "neighbor 2"} {
			ctx, cancel := context.WithCancel(t.Context())
			ends[caller] = cancel
			go func() {
				defer cancel()
				key, _, _ := strings.Cut(caller, " ")
				if release, err := slots.Acquire(ctx, key); err == nil {
					got = append(got, caller)
					release()
				}
			}()
			synctest.Wait()
		}
		ends["tenant 2"]()
		synctest.Wait()
		release()
		synctest.Wait()
		want := []string{"neighbor 1", "tenant 1", "neighbor 2", "tenant 3", "tenant 4"}
		if !slices.Equal(got, want) {
			t.Errorf("slots in the order %q, want %q", got, want)
		}
		if len(slots.keys) > 0 || slots.free != 1 {
			t.Errorf("%d keys are remembered, %d slots are free", len(slots.keys), slots.free)
		}
	})
}

// TestRequestSlotsOfStoppedScope: requests of a namespace that is not served any more leave their
// slots, and their places among the waiting.
func TestRequestSlotsOfStoppedScope(t *testing.T) {
	t.Parallel()
	shared := &readSlots{fast: NewFairSlots(2, 1)}
	stopped, running := newRequestSlots(shared), newRequestSlots(shared)
	queue := priorityqueue.New[ctrl.Request]("test")
	for _, slots := range []*requestSlots{stopped, running} {
		if err := slots.setQueue(t.Context(), queue); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 3 {
		stopped.acquire(types.NamespacedName{Name: fmt.Sprint(i)}, "tenant", shared.fast)
	}
	if running.acquire(requestKey, "tenant", shared.fast) {
		t.Fatal("the namespace has more than one slot")
	}
	stopped.releaseAll()
	if !running.acquire(requestKey, "tenant", shared.fast) {
		t.Error("the slots of the stopped controller are still in use")
	}
	running.release(requestKey)
	if len(shared.fast.keys) > 0 || shared.fast.free != 2 {
		t.Errorf("%d namespaces are remembered, %d slots are free", len(shared.fast.keys), shared.fast.free)
	}
}
