// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package events

import (
	"container/list"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
)

// eventQueue keeps events until they are written. It is bounded and fair: namespaces take turns,
// and if the queue is full, the namespace with the most events loses one.
type eventQueue struct {
	limit int

	mu       sync.Mutex
	changed  *sync.Cond
	closed   bool
	size     int
	arrivals int64                     // in total
	turns    list.List                 // of *eventSpace, the next one first
	spaces   map[string]*eventSpace    // by namespace; none is empty
	byObject map[objectKey]*eventEntry // the replaceable ones
}

// objectKey is a reference to an object, whatever its version.
type objectKey corev1.ObjectReference

// eventSpace has the events of one namespace, in the order of arrival.
type eventSpace struct {
	turn               *list.Element
	replaceable, final list.List // of *eventEntry
}

// eventEntry is one event. While it is queued, the queue's lock guards it.
type eventEntry struct {
	event *eventsv1.Event
	// replaceable means that a later event of the same object replaces this one. Other events are
	// final, and only dropped if their namespace has no replaceable one.
	replaceable bool
	attempts    int

	arrival int64
	delayed bool
	element *list.Element
}

func newEventQueue(limit int) *eventQueue {
	q := &eventQueue{limit: limit, spaces: map[string]*eventSpace{}, byObject: map[objectKey]*eventEntry{}}
	q.changed = sync.NewCond(&q.mu)
	return q
}

func (e *eventEntry) namespace() string { return e.event.Regarding.Namespace }

func (e *eventEntry) object() objectKey {
	object := objectKey(e.event.Regarding)
	object.ResourceVersion = ""
	return object
}

// add queues a new entry. It returns the entry that is dropped if the queue is full.
func (q *eventQueue) add(entry *eventEntry) (dropped *eventEntry) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if before := q.byObject[entry.object()]; entry.replaceable && before != nil {
		before.event, before.attempts = entry.event, 0
		return nil
	}
	return q.insert(entry)
}

// retry queues an entry again, for another attempt after a delay. It returns the entry that is
// dropped if the queue is full.
func (q *eventQueue) retry(entry *eventEntry, delay time.Duration) (dropped *eventEntry) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if entry.replaceable && q.byObject[entry.object()] != nil {
		return nil // a later event replaces it
	}
	entry.delayed = true
	time.AfterFunc(delay, func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		entry.delayed = false
		q.changed.Signal()
	})
	return q.insert(entry)
}

// take waits for an entry that is not delayed, and removes it. It returns nil if the queue is
// closed and empty.
func (q *eventQueue) take() *eventEntry {
	q.mu.Lock()
	defer q.mu.Unlock()
	for {
		if entry := q.next(); entry != nil {
			q.remove(entry)
			return entry
		}
		if q.closed {
			return nil
		}
		q.changed.Wait()
	}
}

// close ends all delays. Queued entries can still be taken.
func (q *eventQueue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.changed.Broadcast()
}

func (q *eventQueue) isClosed() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.closed
}

// clear removes all entries and returns how many there were.
func (q *eventQueue) clear() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	size := q.size
	q.size = 0
	q.turns.Init()
	clear(q.spaces)
	clear(q.byObject)
	return size
}

// insert returns the dropped entry, which can be the new one.
func (q *eventQueue) insert(entry *eventEntry) (dropped *eventEntry) {
	if q.size >= q.limit {
		largest := q.largest(q.spaces[entry.namespace()])
		front := largest.replaceable.Front()
		switch {
		case front != nil:
		case entry.replaceable && largest == q.spaces[entry.namespace()]:
			return entry
		default:
			front = largest.final.Front()
		}
		dropped = front.Value.(*eventEntry)
		q.remove(dropped)
	}
	space := q.spaces[entry.namespace()]
	if space == nil {
		space = &eventSpace{}
		space.turn = q.turns.PushBack(space)
		q.spaces[entry.namespace()] = space
	}
	q.arrivals++
	entry.arrival = q.arrivals
	entry.element = space.list(entry).PushBack(entry)
	if entry.replaceable {
		q.byObject[entry.object()] = entry
	}
	q.size++
	q.changed.Signal()
	return dropped
}

func (q *eventQueue) remove(entry *eventEntry) {
	space := q.spaces[entry.namespace()]
	space.list(entry).Remove(entry.element)
	if space.len() == 0 {
		q.turns.Remove(space.turn)
		delete(q.spaces, entry.namespace())
	}
	if entry.replaceable {
		delete(q.byObject, entry.object())
	}
	q.size--
}

// next returns the first entry without a delay, and moves its namespace to the end.
func (q *eventQueue) next() *eventEntry {
	for turn := q.turns.Front(); turn != nil; turn = turn.Next() {
		space := turn.Value.(*eventSpace)
		first := q.first(&space.replaceable)
		if final := q.first(&space.final); first == nil || final != nil && final.arrival < first.arrival {
			first = final
		}
		if first != nil {
			q.turns.MoveToBack(turn)
			return first
		}
	}
	return nil
}

func (q *eventQueue) first(entries *list.List) *eventEntry {
	for element := entries.Front(); element != nil; element = element.Next() {
		if entry := element.Value.(*eventEntry); !entry.delayed || q.closed {
			return entry
		}
	}
	return nil
}

// largest returns the namespace with the most events, preferably the given one.
func (q *eventQueue) largest(largest *eventSpace) *eventSpace {
	if largest == nil {
		largest = q.turns.Front().Value.(*eventSpace)
	}
	for _, space := range q.spaces {
		if space.len() > largest.len() {
			largest = space
		}
	}
	return largest
}

func (s *eventSpace) len() int { return s.replaceable.Len() + s.final.Len() }

func (s *eventSpace) list(entry *eventEntry) *list.List {
	if entry.replaceable {
		return &s.replaceable
	}
	return &s.final
}
