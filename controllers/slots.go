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

// FairSlots limits concurrency, in total and for each key, such as a namespace or a remote
// address.
type FairSlots struct {
	all    *semaphore.Weighted
	perKey int64

	mu   sync.Mutex
	keys map[string]*keySlots
}

// keySlots are the slots of one key. They exist while they are in use.
type keySlots struct {
	slots   *semaphore.Weighted
	waiting *semaphore.Weighted // held by the caller that waits for a slot of the total
	retries *rate.Limiter
	users   int
}

// NewFairSlots returns slots with a limit in total and a limit for each key.
func NewFairSlots(total, perKey int) *FairSlots {
	return &FairSlots{all: semaphore.NewWeighted(int64(total)), perKey: int64(perKey), keys: map[string]*keySlots{}}
}

// Acquire waits for a slot until ctx ends. The returned function releases it.
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

// TryAcquire does not wait for slots of the same key. If none is free, it returns the delay for
// the next attempt. For slots of other keys, one caller for each key waits until ctx ends. So a key
// does not block more goroutines than it has slots.
func (s *FairSlots) TryAcquire(ctx context.Context, key string) (release func(), retryAfter time.Duration, err error) {
	own := s.join(key)
	if !own.slots.TryAcquire(1) {
		defer s.leave(key, own)
		return nil, s.retryAfter(own), nil
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
		retryAfter = s.retryAfter(own)
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

// The callers without a free slot of a key retry one after the other. All keys together retry at
// most retryRate times a second, and each key gets an equal part, but at least minRetryRate. Free
// slots are used quickly, and many callers cost little.
const (
	retryRate     = 2000
	minRetryRate  = 20
	minRetryDelay = 20 * time.Millisecond
	maxRetryDelay = 5 * time.Second
)

func (s *FairSlots) retryAfter(k *keySlots) time.Duration {
	s.mu.Lock()
	keys := len(s.keys)
	s.mu.Unlock()
	k.retries.SetLimit(rate.Limit(max(retryRate/keys, minRetryRate)))
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

// Responses to reads and writes can have more than 1 MiB each, and need a multiple of that while
// they are decoded. These limits bound how many are in memory at the same time.
const (
	maxLiveReads          = 16
	maxNamespaceLiveReads = 8 // so that no namespace uses all of them
)

func newReadSlots() *FairSlots { return NewFairSlots(maxLiveReads, maxNamespaceLiveReads) }

// acquireSlot acquires a slot for the reads and writes of the attempt. If other requests of the
// namespace use all its slots, it returns true and sets retryAfter, so that no worker is blocked.
func (a *attempt) acquireSlot(ctx context.Context) (busy bool, err error) {
	a.releaseSlot, a.retryAfter, err = a.slots.TryAcquire(ctx, a.request.KeySecret().Namespace)
	if err != nil {
		return false, fmt.Errorf("waiting for other requests: %w", err)
	}
	return a.retryAfter > 0, nil
}

// dropSlot releases the slot, if there is one.
func (a *attempt) dropSlot() {
	if a.releaseSlot != nil {
		a.releaseSlot()
	}
}
