// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"sync"
)

// FairSlots limits how much is done at the same time, in total and for one key, such as a
// namespace or a remote address: who uses all slots of a key waits for these only. A nil
// *FairSlots has no limit.
type FairSlots struct {
	all    chan struct{}
	perKey int

	mu   sync.Mutex
	keys map[string]*keySlots
}

// keySlots exist while somebody has or awaits one of them.
type keySlots struct {
	slots chan struct{}
	users int
}

// NewFairSlots returns total slots, of which one key gets at most perKey.
func NewFairSlots(total, perKey int) *FairSlots {
	return &FairSlots{all: make(chan struct{}, total), perKey: perKey, keys: map[string]*keySlots{}}
}

// Acquire waits for a slot until ctx ends. The returned function gives it back.
func (s *FairSlots) Acquire(ctx context.Context, key string) (release func(), err error) {
	if s == nil {
		return func() {}, nil
	}
	own := s.join(key)
	if err := take(ctx, own.slots); err != nil {
		s.leave(key, own)
		return nil, err
	}
	if err := take(ctx, s.all); err != nil {
		<-own.slots
		s.leave(key, own)
		return nil, err
	}
	return func() {
		<-s.all
		<-own.slots
		s.leave(key, own)
	}, nil
}

func take(ctx context.Context, slots chan<- struct{}) error {
	select {
	case slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *FairSlots) join(key string) *keySlots {
	s.mu.Lock()
	defer s.mu.Unlock()
	own := s.keys[key]
	if own == nil {
		own = &keySlots{slots: make(chan struct{}, s.perKey)}
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

// acquireSlot takes a slot for the live reads of this run, unless it has one.
func (r *run) acquireSlot(ctx context.Context) error {
	if r.releaseSlot != nil {
		return nil
	}
	release, err := r.slots.Acquire(ctx, r.request.keySecret().Namespace)
	if err == nil {
		r.releaseSlot = release
	}
	return err
}

// dropSlot gives the slot back, if there is one.
func (r *run) dropSlot() {
	if r.releaseSlot != nil {
		r.releaseSlot()
		r.releaseSlot = nil
	}
}
