// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/utils/clock"
)

// waits remembers, for the requests that wait, what an object has no place for. It holds
// nothing about finished requests, and what a restart loses only lengthens a grace or
// repeats an event.
type waits struct {
	mu   sync.Mutex
	byID map[types.NamespacedName]*remembered
}

type remembered struct {
	uid        types.UID
	told       situation     // the last one that an event was sent for
	said       string        // the last message that was to be written to the object
	mismatched time.Time     // when the Secret was first seen to hold another key
	mismatchAt time.Time     // when it was last seen
	lookAfter  time.Duration // how long it waited before it looked at its Secret again
	changed    time.Time     // when said last changed from one message to another
	wokenAt    time.Time     // when what it waits for last led to a wake
	wakeAfter  time.Duration // how long after that the request was to be woken
	wakeDelay  time.Duration // the shortest time until it is woken again
}

func newWaits() *waits {
	return &waits{byID: map[types.NamespacedName]*remembered{}}
}

// tell reports whether s is news for the user of the request, and takes it for told.
func (w *waits) tell(key types.NamespacedName, uid types.UID, s situation) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	entry := w.entry(key, uid)
	news := entry.told != s
	entry.told = s
	return news
}

// told returns the last situation that the user of the request was told of; empty if none.
func (w *waits) told(key types.NamespacedName, uid types.UID) situation {
	w.mu.Lock()
	defer w.mu.Unlock()
	if entry := w.byID[key]; entry != nil && entry.uid == uid {
		return entry.told
	}
	return ""
}

// say notes the message that the request is to carry, and reports whether this process had
// another one for it before.
func (w *waits) say(key types.NamespacedName, uid types.UID, message string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	entry := w.entry(key, uid)
	another := entry.said != "" && entry.said != message
	entry.said = message
	return another
}

// said reports whether message is the last one that this process had for the request.
func (w *waits) said(key types.NamespacedName, uid types.UID, message string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	entry := w.byID[key]
	return entry != nil && entry.uid == uid && entry.said == message
}

// writeInterval is the shortest time between two changes of a pending request's message. The
// change from the first message to the second one is not delayed.
const writeInterval = 5 * time.Second

// untilWrite returns for how long another message for a pending request must not be written
// yet. Zero permits the write, and starts the interval when the message is a change.
func (w *waits) untilWrite(key types.NamespacedName, uid types.UID, message string, clock clock.PassiveClock) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	entry := w.entry(key, uid)
	if entry.said == "" || entry.said == message {
		return 0
	}
	if rest := writeInterval - clock.Since(entry.changed); rest > 0 {
		return rest
	}
	entry.changed = clock.Now()
	return 0
}

// mismatchedFor returns how long the request's Secret has been seen to hold another key: zero
// the first time, and when it has not been looked at for longer than gap.
func (w *waits) mismatchedFor(key types.NamespacedName, uid types.UID, clock clock.PassiveClock, gap time.Duration) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	entry := w.entry(key, uid)
	now := clock.Now()
	if entry.mismatched.IsZero() || clock.Since(entry.mismatchAt) > gap {
		entry.mismatched = now
	}
	entry.mismatchAt = now
	return clock.Since(entry.mismatched)
}

// endMismatch makes the next mismatch a first one: something else was found in between.
func (w *waits) endMismatch(key types.NamespacedName) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if entry := w.byID[key]; entry != nil {
		entry.mismatched = time.Time{}
	}
}

// A Secret that is not watched is looked at again after lookFirst, then after twice as long
// each time, up to retryMost. Each time is shortened by a random part, at most lookJitter of it,
// so that requests that were created together are not looked at together.
const (
	lookFirst  = time.Second
	lookJitter = 0.2
)

// nextLook returns how long a request waits before it looks at its Secret again.
func (w *waits) nextLook(key types.NamespacedName, uid types.UID) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	entry := w.entry(key, uid)
	entry.lookAfter = min(max(2*entry.lookAfter, lookFirst), retryMost)
	return wait.Jitter(time.Duration((1-lookJitter)*float64(entry.lookAfter)), lookJitter/(1-lookJitter))
}

const (
	// A request is woken at once by a change of what it waits for, then not before wakeFirst,
	// and then twice as long each time, up to wakeMost, until it was not woken for wakeReset.
	wakeFirst = 100 * time.Millisecond
	wakeMost  = 5 * time.Second
	wakeReset = 2 * wakeMost
)

// nextWake returns after which delay a request is to be woken because what it waits for has
// changed, and whether it was woken shortly before. A request that is not known has not been
// looked at yet, and is woken at once.
func (w *waits) nextWake(key types.NamespacedName, uid types.UID, clock clock.PassiveClock) (delay time.Duration, repeated bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	entry := w.byID[key]
	if entry == nil || entry.uid != uid {
		return 0, false
	}
	quiet := clock.Since(entry.wokenAt) - entry.wakeAfter
	if quiet < 0 {
		return -quiet, true // it is to be woken already
	}
	entry.wokenAt = clock.Now()
	if quiet >= wakeReset {
		entry.wakeAfter, entry.wakeDelay = 0, wakeFirst
		return 0, false
	}
	entry.wakeAfter = max(0, entry.wakeDelay-quiet)
	entry.wakeDelay = min(2*entry.wakeDelay, wakeMost)
	return entry.wakeAfter, true
}

// forget drops a request that is finished or gone.
func (w *waits) forget(key types.NamespacedName) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.byID, key)
}

// entry returns what is known of a request; a successor of the same name starts anew.
func (w *waits) entry(key types.NamespacedName, uid types.UID) *remembered {
	if entry := w.byID[key]; entry != nil && entry.uid == uid {
		return entry
	}
	entry := &remembered{uid: uid}
	w.byID[key] = entry
	return entry
}
