// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
	"golang.org/x/time/rate"
	"k8s.io/apimachinery/pkg/util/wait"
)

// FairSlots limits how much is done at the same time, in total and for one key, such as a
// namespace or a remote address: who uses all slots of a key waits for these only.
type FairSlots struct {
	all    *semaphore.Weighted
	perKey int64

	mu   sync.Mutex
	keys map[string]*keySlots
}

// keySlots exist while somebody has or awaits one of them.
type keySlots struct {
	slots   *semaphore.Weighted
	waiting *semaphore.Weighted // for a slot of those of all keys, see TryAcquire
	retries *rate.Limiter
	users   int
}

// NewFairSlots returns total slots, of which one key gets at most perKey.
func NewFairSlots(total, perKey int) *FairSlots {
	return &FairSlots{all: semaphore.NewWeighted(int64(total)), perKey: int64(perKey), keys: map[string]*keySlots{}}
}

// Acquire waits for a slot until ctx ends. The returned function gives it back.
func (s *FairSlots) Acquire(ctx context.Context, key string) (release func(), err error) {
	own := s.join(key)
	if err := own.slots.Acquire(ctx, 1); err != nil {
		s.leave(key, own)
		return nil, err
	}
	if err := s.all.Acquire(ctx, 1); err != nil {
		own.slots.Release(1)
		s.leave(key, own)
		return nil, err
	}
	return func() { s.release(key, own) }, nil
}

// TryAcquire does not wait for slots of the same key: while they are taken, it returns after
// which delay to try again. For the slots that other keys have, one caller of each key waits in
// turn until ctx ends. So a key keeps no more goroutines than it has slots.
func (s *FairSlots) TryAcquire(ctx context.Context, key string) (release func(), retryAfter time.Duration, err error) {
	own := s.join(key)
	if !own.slots.TryAcquire(1) {
		defer s.leave(key, own)
		return nil, own.retryAfter(), nil
	}
	if s.all.TryAcquire(1) {
		return func() { s.release(key, own) }, 0, nil
	}
	if own.waiting.TryAcquire(1) {
		err = s.all.Acquire(ctx, 1)
		own.waiting.Release(1)
		if err == nil {
			return func() { s.release(key, own) }, 0, nil
		}
	} else {
		retryAfter = own.retryAfter()
	}
	own.slots.Release(1)
	s.leave(key, own)
	return nil, retryAfter, err
}

func (s *FairSlots) release(key string, own *keySlots) {
	s.all.Release(1)
	own.slots.Release(1)
	s.leave(key, own)
}

// Those who have found no free slot of a key try again one after the other, retryRate a second:
// soon enough that free slots are hardly ever left unused, and so rarely that it costs little,
// however many they are.
const (
	retryRate     = 2000
	minRetryDelay = 20 * time.Millisecond
	maxRetryDelay = 5 * time.Second
)

func (k *keySlots) retryAfter() time.Duration {
	reserved := k.retries.Reserve()
	delay := minRetryDelay + reserved.Delay()
	if delay > maxRetryDelay {
		reserved.Cancel()
		return wait.Jitter(maxRetryDelay/2, 1)
	}
	return delay
}

func (s *FairSlots) join(key string) *keySlots {
	s.mu.Lock()
	defer s.mu.Unlock()
	own := s.keys[key]
	if own == nil {
		own = &keySlots{
			slots: semaphore.NewWeighted(s.perKey), waiting: semaphore.NewWeighted(1),
			retries: rate.NewLimiter(retryRate, 1),
		}
		s.keys[key] = own
	}
	own.users++
	return own
}

func (s *FairSlots) leave(key string, own *keySlots) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if own.users--; own.users == 0 {
		delete(s.keys, key)
	}
}

// Objects that are read from the API server, or come back in the answer to a write, can have
// more than 1 MiB each, and need a multiple of that while they are decoded. These limits, and not
// the number of workers, decide how many are in memory at the same time.
const (
	maxLiveReads          = 16
	maxNamespaceLiveReads = 8 // so that no namespace can take all of them
)

func newReadSlots() *FairSlots { return NewFairSlots(maxLiveReads, maxNamespaceLiveReads) }

// acquireSlot takes a slot for what the run reads and writes. It reports whether the run must
// pause because requests of the same namespace have all that it gets: these do not keep
// the workers.
func (a *attempt) acquireSlot(ctx context.Context) (busy bool, err error) {
	a.releaseSlot, a.pause, err = a.slots.TryAcquire(ctx, a.request.keySecret().Namespace)
	if err != nil {
		return false, fmt.Errorf("waiting for other requests: %w", err)
	}
	return a.pause > 0, nil
}

// dropSlot gives the slot back, if there is one.
func (a *attempt) dropSlot() {
	if a.releaseSlot != nil {
		a.releaseSlot()
	}
}
