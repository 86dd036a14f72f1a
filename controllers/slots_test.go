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

// TestFairSlots: one namespace cannot use all slots, and a released slot is used again. No state is
// kept for a namespace without slots in use.
func TestFairSlots(t *testing.T) {
	t.Parallel()
	slots := newReadSlots()
	expired, cancel := context.WithCancel(t.Context())
	cancel()
	take := func(namespace string) (func(), bool) {
		t.Helper()
		release, err := slots.Acquire(expired, namespace)
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		return release, err == nil
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
	if len(slots.keys) > 0 || slots.free != maxLiveReads {
		t.Errorf("%d namespaces are remembered, %d slots are free", len(slots.keys), slots.free)
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
	shared := NewFairSlots(2, 1)
	stopped, running := newRequestSlots(shared), newRequestSlots(shared)
	queue := priorityqueue.New[ctrl.Request]("test")
	for _, slots := range []*requestSlots{stopped, running} {
		if err := slots.setQueue(t.Context(), queue); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 3 {
		stopped.acquire(types.NamespacedName{Name: fmt.Sprint(i)}, "tenant")
	}
	if running.acquire(requestKey, "tenant") {
		t.Fatal("the namespace has more than one slot")
	}
	stopped.releaseAll()
	if !running.acquire(requestKey, "tenant") {
		t.Error("the slots of the stopped controller are still in use")
	}
	running.release(requestKey)
	if len(shared.keys) > 0 || shared.free != 2 {
		t.Errorf("%d namespaces are remembered, %d slots are free", len(shared.keys), shared.free)
	}
}
