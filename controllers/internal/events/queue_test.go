// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package events

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
)

// entry is the event "namespace/name note". It is final if the note begins with "end".
func entry(text string) *eventEntry {
	object, note, _ := strings.Cut(text, " ")
	namespace, name, _ := strings.Cut(object, "/")
	return &eventEntry{
		event:       &eventsv1.Event{Regarding: corev1.ObjectReference{Namespace: namespace, Name: name}, Note: note},
		replaceable: !strings.HasPrefix(note, "end"),
	}
}

func (e *eventEntry) text() string {
	if e == nil {
		return "nothing"
	}
	return e.namespace() + "/" + e.event.Regarding.Name + " " + e.event.Note
}

// drain closes the queue and returns the remaining events in order.
func (q *eventQueue) drain() (texts []string) {
	q.close()
	for e := q.take(); e != nil; e = q.take() {
		texts = append(texts, e.text())
	}
	return texts
}

func TestEventQueueOrderAndDrops(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ add, dropped, left []string }{
		"in the order of arrival": {
			add:  []string{"a/1 waits", "a/1 end", "a/2 end", "a/2 waits"},
			left: []string{"a/1 waits", "a/1 end", "a/2 end", "a/2 waits"},
		},
		"namespaces take turns": {
			add:  []string{"a/1 end", "a/2 end", "a/3 end", "b/1 end"},
			left: []string{"a/1 end", "b/1 end", "a/2 end", "a/3 end"},
		},
		"a later state replaces an earlier one": {
			add:  []string{"a/1 waits", "a/2 waits", "a/1 waits longer", "b/1 waits", "a/1 waits still"},
			left: []string{"a/1 waits still", "b/1 waits", "a/2 waits"},
		},
		"an end replaces nothing": {
			add:  []string{"a/1 end", "a/1 end with a warning", "a/1 waits"},
			left: []string{"a/1 end", "a/1 end with a warning", "a/1 waits"},
		},
		"the oldest state is dropped before an end": {
			add:     []string{"a/1 end", "a/2 waits", "a/3 waits", "a/4 end", "a/5 end"},
			dropped: []string{"a/2 waits"},
			left:    []string{"a/1 end", "a/3 waits", "a/4 end", "a/5 end"},
		},
		"no end is dropped for a state": {
			add:     []string{"a/1 end", "a/2 end", "a/3 end", "a/4 end", "a/5 waits"},
			dropped: []string{"a/5 waits"},
			left:    []string{"a/1 end", "a/2 end", "a/3 end", "a/4 end"},
		},
		"the oldest end is dropped for an end": {
			add:     []string{"a/1 end", "a/2 end", "a/3 end", "a/4 end", "a/5 end"},
			dropped: []string{"a/1 end"},
			left:    []string{"a/2 end", "a/3 end", "a/4 end", "a/5 end"},
		},
		"the namespace with the most events loses": {
			add:     []string{"b/1 waits", "a/1 end", "a/2 end", "a/3 end", "a/4 end", "b/2 waits", "a/5 waits"},
			dropped: []string{"a/1 end", "a/2 end", "a/5 waits"},
			left:    []string{"b/1 waits", "a/3 end", "b/2 waits", "a/4 end"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q := newEventQueue(4)
			var dropped []string
			for _, text := range test.add {
				if d := q.add(entry(text)); d != nil {
					dropped = append(dropped, d.text())
				}
			}
			if !slices.Equal(dropped, test.dropped) {
				t.Errorf("dropped %q, want %q", dropped, test.dropped)
			}
			if left := q.drain(); !slices.Equal(left, test.left) {
				t.Errorf("left %q, want %q", left, test.left)
			}
			if q.size != 0 || len(q.spaces) != 0 || len(q.byObject) != 0 || q.turns.Len() != 0 {
				t.Errorf("an empty queue holds %+v", q)
			}
		})
	}
}

// TestEventQueueRetries: a delayed entry does not delay others, and can be replaced.
func TestEventQueueRetries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newEventQueue(4)
		q.add(entry("a/1 waits"))
		first := q.take()
		if dropped := q.retry(first, time.Minute); dropped != nil {
			t.Errorf("dropped %s", dropped.text())
		}
		q.add(entry("a/2 waits"))
		if got := q.take().text(); got != "a/2 waits" {
			t.Errorf("took %s beside a delayed entry", got)
		}
		q.add(entry("a/1 waits longer"))
		start := time.Now()
		if got := q.take().text(); got != "a/1 waits longer" || time.Since(start) != time.Minute {
			t.Errorf("took %s after %s", got, time.Since(start))
		}
		// A newer event was added while the older one was in flight.
		q.add(entry("a/1 waits still"))
		q.retry(first, time.Minute)
		if got := q.drain(); !slices.Equal(got, []string{"a/1 waits still"}) {
			t.Errorf("left %q", got)
		}
	})
}
