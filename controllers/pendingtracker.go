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

// pendingTracker keeps the state of pending requests that cannot be stored on the object. It holds
// nothing about finished requests, and what a restart loses only lengthens a grace period or
// repeats an event.
type pendingTracker struct {
	mu    sync.Mutex
	byID  map[types.NamespacedName]*pendingState
	polls map[string]int // how many of them poll their Secrets, by namespace
}

type pendingState struct {
	uid          types.UID
	lastReported Reason        // the last one that an event was sent for
	message      string        // the last message that was to be written to the object
	mismatched   time.Time     // when the Secret was first seen to hold another key
	mismatchAt   time.Time     // when it was last seen
	mismatchIn   types.UID     // the Secret in which it was last seen
	pollDelay    time.Duration // how long it waited before it looked at its Secret again
	changed      time.Time     // when message last changed from one message to another
	wokenAt      time.Time     // when what it waits for last led to a wake
	wakeAfter    time.Duration // how long after that the request was to be woken
	wakeDelay    time.Duration // the shortest time until it is woken again
}

func newPendingTracker() *pendingTracker {
	return &pendingTracker{byID: map[types.NamespacedName]*pendingState{}, polls: map[string]int{}}
}

// markReported returns whether s is news for the user of the request, and takes it for reported.
func (w *pendingTracker) markReported(key types.NamespacedName, uid types.UID, s Reason) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	entry := w.entry(key, uid)
	news := entry.lastReported != s
	entry.lastReported = s
	return news
}

// lastReported returns the last reason that was reported to the user of the request; empty if none.
func (w *pendingTracker) lastReported(key types.NamespacedName, uid types.UID) Reason {
	w.mu.Lock()
	defer w.mu.Unlock()
	if entry := w.byID[key]; entry != nil && entry.uid == uid {
		return entry.lastReported
	}
	return ""
}

// recordMessage notes the message that the request is to carry, and reports whether this process had
// another one for it before.
func (w *pendingTracker) recordMessage(key types.NamespacedName, uid types.UID, message string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	entry := w.entry(key, uid)
	another := entry.message != "" && entry.message != message
	entry.message = message
	return another
}

// isLastMessage returns whether message is the last one that this process had for the request.
func (w *pendingTracker) isLastMessage(key types.NamespacedName, uid types.UID, message string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	entry := w.byID[key]
	return entry != nil && entry.uid == uid && entry.message == message
}

// writeInterval is the shortest time between two changes of a pending request's message. The
// change from the first message to the second one is not delayed.
const writeInterval = 5 * time.Second

// untilWrite returns for how long another message for a pending request must not be written
// yet. Zero permits the write, and starts the interval when the message is a change.
func (w *pendingTracker) untilWrite(key types.NamespacedName, uid types.UID, message string, clock clock.PassiveClock) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	entry := w.entry(key, uid)
	if entry.message == "" || entry.message == message {
		return 0
	}
	if rest := writeInterval - clock.Since(entry.changed); rest > 0 {
		return rest
	}
	entry.changed = clock.Now()
	return 0
}

// mismatchedFor returns how long the request's Secret has been seen to hold another key: zero
// the first time, when the Secret is another one, and when it has not been looked at for longer
// than gap.
func (w *pendingTracker) mismatchedFor(key types.NamespacedName, uid, secret types.UID, clock clock.PassiveClock, gap time.Duration) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	entry := w.entry(key, uid)
	now := clock.Now()
	if entry.mismatched.IsZero() || entry.mismatchIn != secret || clock.Since(entry.mismatchAt) > gap {
		entry.mismatched = now
	}
	entry.mismatchAt, entry.mismatchIn = now, secret
	return clock.Since(entry.mismatched)
}

// endMismatch makes the next mismatch a first one: something else was found in between.
func (w *pendingTracker) endMismatch(key types.NamespacedName) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if entry := w.byID[key]; entry != nil {
		entry.mismatched = time.Time{}
	}
}

// A Secret that is not watched is looked at again after pollBaseDelay, then after twice as long
// each time, up to retryMaxDelay. Each time is shortened by a random part, at most pollJitter of it,
// so that requests that were created together are not looked at together. All requests of a
// namespace together read about pollRate Secrets a second, however many requests there are.
const (
	pollBaseDelay = time.Second
	pollJitter    = 0.2
	pollRate      = 50
)

// nextPoll returns how long a request waits before it looks at its Secret again.
func (w *pendingTracker) nextPoll(key types.NamespacedName, uid types.UID) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	entry := w.entry(key, uid)
	if entry.pollDelay == 0 {
		w.polls[key.Namespace]++
	}
	entry.pollDelay = min(max(2*entry.pollDelay, pollBaseDelay), retryMaxDelay)
	delay := max(entry.pollDelay, time.Duration(w.polls[key.Namespace])*time.Second/pollRate)
	return wait.Jitter(time.Duration((1-pollJitter)*float64(delay)), pollJitter/(1-pollJitter))
}

// isPolled returns whether a request has read its Secret before and no watch reports its changes.
func (w *pendingTracker) isPolled(key types.NamespacedName, uid types.UID) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	entry := w.byID[key]
	return entry != nil && entry.uid == uid && entry.pollDelay > 0
}

const (
	// A request is woken at once by a change of what it waits for, then not before wakeBaseDelay,
	// and then twice as long each time, up to wakeMaxDelay, until it was not woken for wakeReset.
	wakeBaseDelay = 100 * time.Millisecond
	wakeMaxDelay  = 5 * time.Second
	wakeReset     = 2 * wakeMaxDelay
)

// nextWake returns after which delay a request is to be woken because what it waits for has
// changed, and whether it was woken shortly before. A request that is not known has not been
// looked at yet, and is woken at once.
func (w *pendingTracker) nextWake(key types.NamespacedName, uid types.UID, clock clock.PassiveClock) (delay time.Duration, repeated bool) {
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
		entry.wakeAfter, entry.wakeDelay = 0, wakeBaseDelay
		return 0, false
	}
	entry.wakeAfter = max(0, entry.wakeDelay-quiet)
	entry.wakeDelay = min(2*entry.wakeDelay, wakeMaxDelay)
	return entry.wakeAfter, true
}

// forget drops a request that is finished or gone.
func (w *pendingTracker) forget(key types.NamespacedName) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.drop(key)
}

func (w *pendingTracker) drop(key types.NamespacedName) {
	if entry := w.byID[key]; entry != nil && entry.pollDelay > 0 {
		if w.polls[key.Namespace]--; w.polls[key.Namespace] == 0 {
			delete(w.polls, key.Namespace)
		}
	}
	delete(w.byID, key)
}

// entry returns what is known of a request; a successor of the same name starts anew.
func (w *pendingTracker) entry(key types.NamespacedName, uid types.UID) *pendingState {
	if entry := w.byID[key]; entry != nil && entry.uid == uid {
		return entry
	}
	w.drop(key)
	entry := &pendingState{uid: uid}
	w.byID[key] = entry
	return entry
}
