// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"fmt"
	"testing"
)

// TestReadSlots: one namespace can not take every slot, and a slot that is given back is
// taken by the next one. Nothing is remembered of a namespace that has none.
func TestReadSlots(t *testing.T) {
	t.Parallel()
	slots := newReadSlots()
	expired, cancel := context.WithCancel(t.Context())
	cancel()
	take := func(namespace string) (func(), bool) {
		t.Helper()
		// With a context that has ended, a slot is taken only if it is free; which of two ready
		// cases is chosen is random.
		for range 100 {
			release, err := slots.Acquire(expired, namespace)
			if err == nil {
				return release, true
			}
			if !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
		}
		return nil, false
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
