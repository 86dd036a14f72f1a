// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"sync"

	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Responses to reads and writes can have more than 1 MiB each, and need a multiple of that while
// they are decoded. These limits bound how many are in memory at the same time.
const (
	maxLiveReads          = 16
	maxNamespaceLiveReads = 8 // so that no namespace uses all of them
)

func newReadSlots() *FairSlots { return NewFairSlots(maxLiveReads, maxNamespaceLiveReads) }

// requestSlots gives slots to the requests of one work queue. A request without a slot does not
// block a worker: it is enqueued again when it has one.
type requestSlots struct {
	slots *FairSlots

	mu      sync.Mutex
	queue   workQueue
	tickets map[types.NamespacedName]*slotTicket
}

func newRequestSlots(slots *FairSlots) *requestSlots {
	return &requestSlots{slots: slots, tickets: map[types.NamespacedName]*slotTicket{}}
}

// setQueue is a source.Func. It is called before the workers start.
func (s *requestSlots) setQueue(_ context.Context, queue workQueue) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = queue
	return nil
}

// grantedPriority is above all others, because a slot is reserved for the request.
var grantedPriority = new(1)

// acquire returns whether the request has a slot. If not, it waits for one.
func (s *requestSlots) acquire(request types.NamespacedName, namespace string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tickets[request] == nil {
		s.tickets[request] = s.slots.enter(namespace)
	}
	queue := s.queue
	return s.slots.hasSlot(s.tickets[request], func() {
		addWithPriority(queue, ctrl.Request{NamespacedName: request}, 0, grantedPriority)
	})
}

// release releases the slot of the request, or its place among the waiting.
func (s *requestSlots) release(request types.NamespacedName) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ticket := s.tickets[request]; ticket != nil {
		delete(s.tickets, request)
		s.slots.leave(ticket)
	}
}

// releaseAll is called when the workers have stopped.
func (s *requestSlots) releaseAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for request, ticket := range s.tickets {
		delete(s.tickets, request)
		s.slots.leave(ticket)
	}
}

// acquireSlot returns whether the attempt has a slot for its reads and writes. Without one, the
// attempt ends.
func (a *attempt) acquireSlot() bool {
	name := client.ObjectKeyFromObject(a.request.Object())
	a.waitingForSlot = !a.slots.acquire(name, a.request.KeySecret().Namespace)
	return !a.waitingForSlot
}

// releaseSlot keeps the place of an attempt that waits for a slot.
func (a *attempt) releaseSlot(request types.NamespacedName) {
	if !a.waitingForSlot {
		a.slots.release(request)
	}
}
