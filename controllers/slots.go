// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"sync"
)

// Objects that are read from the API server can have more than 1 MiB each, and need a multiple
// of that while they are decoded. These limits, and not the number of workers, decide how many
// are in memory at the same time.
const (
	maxLiveReads          = 16
	maxNamespaceLiveReads = 8 // so that no namespace can take all of them
)

// readSlots limits the live reads, in all and for each namespace. A nil *readSlots has no limit.
type readSlots struct {
	all chan struct{}

	mu         sync.Mutex
	namespaces map[string]*namespaceSlots
}

// namespaceSlots exist while somebody has or awaits one of them.
type namespaceSlots struct {
	slots chan struct{}
	users int
}

func newReadSlots() *readSlots {
	return &readSlots{all: make(chan struct{}, maxLiveReads), namespaces: map[string]*namespaceSlots{}}
}

// acquire waits for a slot until ctx ends. The returned function gives it back.
func (s *readSlots) acquire(ctx context.Context, namespace string) (release func(), err error) {
	if s == nil {
		return func() {}, nil
	}
	own := s.join(namespace)
	if err := take(ctx, own.slots); err != nil {
		s.leave(namespace, own)
		return nil, err
	}
	if err := take(ctx, s.all); err != nil {
		<-own.slots
		s.leave(namespace, own)
		return nil, err
	}
	return func() {
		<-s.all
		<-own.slots
		s.leave(namespace, own)
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

func (s *readSlots) join(namespace string) *namespaceSlots {
	s.mu.Lock()
	defer s.mu.Unlock()
	own := s.namespaces[namespace]
	if own == nil {
		own = &namespaceSlots{slots: make(chan struct{}, maxNamespaceLiveReads)}
		s.namespaces[namespace] = own
	}
	own.users++
	return own
}

func (s *readSlots) leave(namespace string, own *namespaceSlots) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if own.users--; own.users == 0 {
		delete(s.namespaces, namespace)
	}
}

// acquireSlot takes a slot for the live reads of this run, unless it has one.
func (r *run) acquireSlot(ctx context.Context) error {
	if r.releaseSlot != nil {
		return nil
	}
	release, err := r.slots.acquire(ctx, r.request.keySecret().Namespace)
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
