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

// readSlots bound how many responses are in memory at the same time, because each needs a multiple
// of its size while it is decoded. The size of a Secret is not known before it is read. It has at
// most 1 MiB.
type readSlots struct {
	fast *FairSlots
	// pending is for requests that were reported as pending: a change of a Secret triggers all that
	// wait for it, and new requests of other namespaces share the API server with them.
	pending *FairSlots
	// large is for requests that are not cached. The API server can need a second for each.
	large *FairSlots
}

const (
	maxFastSlots    = 48
	maxPendingSlots = 16
	maxLargeSlots   = 4
)

// newReadSlots returns slots for a number of workers. The limits are so low that busy namespaces
// do not block all workers. One namespace cannot use all slots.
func newReadSlots(workers int) *readSlots {
	limits := func(total int) *FairSlots { return NewFairSlots(max(total, 1), max(total*2/3, 1)) }
	return &readSlots{
		fast:    limits(min(maxFastSlots, workers/2)),
		pending: limits(min(maxPendingSlots, workers/4)),
		large:   limits(min(maxLargeSlots, workers/8)),
	}
}

// of returns the slots for a request.
func (s *readSlots) of(pending, large bool) *FairSlots {
	switch {
	case large:
		return s.large
	case pending:
		return s.pending
	default:
		return s.fast
	}
}

// requestSlots gives slots to the requests of one work queue. A request without a slot does not
// block a worker: it is enqueued again when it has one.
type requestSlots struct {
	*readSlots

	mu      sync.Mutex
	queue   workQueue
	tickets map[types.NamespacedName]*slotTicket
}

func newRequestSlots(shared *readSlots) *requestSlots {
	return &requestSlots{readSlots: shared, tickets: map[types.NamespacedName]*slotTicket{}}
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
func (s *requestSlots) acquire(request types.NamespacedName, namespace string, slots *FairSlots) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tickets[request] == nil {
		s.tickets[request] = slots.enter(namespace)
	}
	queue := s.queue
	return s.tickets[request].hasSlot(func() {
		addWithPriority(queue, ctrl.Request{NamespacedName: request}, 0, grantedPriority)
	})
}

// release releases the slot of the request, or its place among the waiting.
func (s *requestSlots) release(request types.NamespacedName) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ticket := s.tickets[request]; ticket != nil {
		delete(s.tickets, request)
		ticket.leave()
	}
}

// releaseAll is called when the workers have stopped.
func (s *requestSlots) releaseAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, ticket := range s.tickets {
		ticket.leave()
	}
	clear(s.tickets)
}

// acquireSlot returns whether the attempt has a slot for its reads and writes. Without one, the
// attempt ends.
func (a *attempt) acquireSlot() bool {
	name := client.ObjectKeyFromObject(a.request.Object())
	pending := a.tracker.lastReported(name, a.request.Object().GetUID()) != ""
	slots := a.slots.of(pending, a.request.Partial())
	a.waitingForSlot = !a.slots.acquire(name, a.request.KeySecret().Namespace, slots)
	return !a.waitingForSlot
}

// releaseSlot keeps the place of an attempt that waits for a slot.
func (a *attempt) releaseSlot(request types.NamespacedName) {
	if !a.waitingForSlot {
		a.slots.release(request)
	}
}
