// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"container/list"
	"context"
	"sync"
)

// FairSlots limits concurrency, in total and for each key, such as a namespace or a remote
// address. Callers with the same key get slots in the order in which they came. Keys get slots in
// turn.
type FairSlots struct {
	perKey int

	mu   sync.Mutex
	free int
	keys map[string]*slotKey
	turn list.List // of the *slotKey that can use another slot
}

// slotKey exists while its slots are in use or waited for.
type slotKey struct {
	name    string
	used    int
	waiting list.List     // of *slotTicket
	turn    *list.Element // nil if the key cannot use another slot
}

// slotTicket waits for a slot, or has one.
type slotTicket struct {
	slots   *FairSlots
	key     *slotKey
	waiting *list.Element // nil with a slot
	granted func()
}

// NewFairSlots returns slots with a limit in total and a limit for each key.
func NewFairSlots(total, perKey int) *FairSlots {
	return &FairSlots{perKey: perKey, free: total, keys: map[string]*slotKey{}}
}

// Acquire waits for a slot until ctx ends. The returned function releases it.
func (s *FairSlots) Acquire(ctx context.Context, key string) (release func(), err error) {
	ticket, granted := s.enter(key), make(chan struct{})
	if !ticket.hasSlot(func() { close(granted) }) {
		select {
		case <-granted:
		case <-ctx.Done():
			ticket.leave()
			return nil, ctx.Err()
		}
	}
	return ticket.leave, nil
}

// enter returns a ticket, with a slot if one is free.
func (s *FairSlots) enter(key string) *slotTicket {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.keys[key]
	if k == nil {
		k = &slotKey{name: key}
		s.keys[key] = k
	}
	ticket := &slotTicket{slots: s, key: k}
	ticket.waiting = k.waiting.PushBack(ticket)
	s.update(k)
	s.grant()
	return ticket
}

// leave releases the slot, or the place among the waiting.
func (t *slotTicket) leave() {
	t.slots.mu.Lock()
	defer t.slots.mu.Unlock()
	if t.waiting != nil {
		t.key.waiting.Remove(t.waiting)
	} else {
		t.key.used--
		t.slots.free++
	}
	t.slots.update(t.key)
	t.slots.grant()
}

// hasSlot returns whether the ticket has a slot. If not, granted is called once it has one. It must
// not block.
func (t *slotTicket) hasSlot(granted func()) bool {
	t.slots.mu.Lock()
	defer t.slots.mu.Unlock()
	t.granted = granted
	return t.waiting == nil
}

// grant gives the free slots to the keys in turn.
func (s *FairSlots) grant() {
	for s.free > 0 && s.turn.Len() > 0 {
		k := s.turn.Remove(s.turn.Front()).(*slotKey)
		k.turn = nil
		ticket := k.waiting.Remove(k.waiting.Front()).(*slotTicket)
		ticket.waiting = nil
		k.used++
		s.free--
		s.update(k)
		if ticket.granted != nil {
			ticket.granted()
		}
	}
}

// update adds the key to those that can use another slot, or removes it.
func (s *FairSlots) update(k *slotKey) {
	usable := k.waiting.Len() > 0 && k.used < s.perKey
	switch {
	case usable && k.turn == nil:
		k.turn = s.turn.PushBack(k)
	case !usable && k.turn != nil:
		s.turn.Remove(k.turn)
		k.turn = nil
	}
	if k.used == 0 && k.waiting.Len() == 0 {
		delete(s.keys, k.name)
	}
}
