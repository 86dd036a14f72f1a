// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/utils/clock"

	"github.com/cert-manager/selfsigned-issuer/controllers/internal/outcome"
)

// pendingTracker keeps per-request state that cannot be stored on the object, only for pending
// requests. Its loss in a restart only extends a grace period or repeats an event.
type pendingTracker struct {
	mu    sync.Mutex
	byID  map[types.NamespacedName]*pendingState
	polls map[string]int // the number of requests that poll their Secret, by namespace
}

type pendingState struct {
	uid          types.UID
	lastReported outcome.Reason // of the last event
	message      string         // the last one for the condition
	mismatchFrom time.Time      // first reconcile with a key that does not match
	mismatchAt   time.Time      // last reconcile with a key that does not match
	mismatchIn   types.UID      // the Secret with this key
	pollDelay    time.Duration  // last delay before the Secret is read again
	changed      time.Time      // when the message last changed
	triggeredAt  time.Time      // when its Secret or issuer last triggered a reconcile
	triggerAfter time.Duration  // the delay of this reconcile
	triggerDelay time.Duration  // the minimum delay of the next one
}

func newPendingTracker() *pendingTracker {
	return &pendingTracker{byID: map[types.NamespacedName]*pendingState{}, polls: map[string]int{}}
}

// markReported sets the last reported reason, and returns whether it is another one than before.
func (w *pendingTracker) markReported(key types.NamespacedName, uid types.UID, reason outcome.Reason) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	entry := w.entry(key, uid)
	isNew := entry.lastReported != reason
	entry.lastReported = reason
	return isNew
}

// lastReported returns the reason of the last event about the request; empty without one.
func (w *pendingTracker) lastReported(key types.NamespacedName, uid types.UID) outcome.Reason {
	w.mu.Lock()
	defer w.mu.Unlock()
	if entry := w.byID[key]; entry != nil && entry.uid == uid {
		return entry.lastReported
	}
	return ""
}

// recordMessage sets the message of the request, and returns whether it replaces another one.
func (w *pendingTracker) recordMessage(key types.NamespacedName, uid types.UID, message string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	entry := w.entry(key, uid)
	another := entry.message != "" && entry.message != message
	entry.message = message
	return another
}

// isLastMessage returns whether message is the last one that was recorded for the request.
func (w *pendingTracker) isLastMessage(key types.NamespacedName, uid types.UID, message string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	entry := w.byID[key]
	return entry != nil && entry.uid == uid && entry.message == message
}

// writeInterval is the minimum time between two changes of a pending request's message. The
// first change is not delayed.
const writeInterval = 5 * time.Second

// untilWrite returns how long the message of a pending request must not be changed. If it
// returns zero, the message can be written, and a change starts the next interval.
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

// mismatchedFor returns the time since the first reconcile with a key that does not match: zero
// for the first one, for a re-created Secret, and after a pause that is longer than maxPause.
func (w *pendingTracker) mismatchedFor(key types.NamespacedName, uid, secret types.UID, clock clock.PassiveClock, maxPause time.Duration) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	entry := w.entry(key, uid)
	now := clock.Now()
	if entry.mismatchFrom.IsZero() || entry.mismatchIn != secret || clock.Since(entry.mismatchAt) > maxPause {
		entry.mismatchFrom = now
	}
	entry.mismatchAt, entry.mismatchIn = now, secret
	return clock.Since(entry.mismatchFrom)
}

// endMismatch is called after a reconcile with another result.
func (w *pendingTracker) endMismatch(key types.NamespacedName) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if entry := w.byID[key]; entry != nil {
		entry.mismatchFrom = time.Time{}
	}
}

// A Secret that is not watched is read again after pollBaseDelay. The delay doubles each time, up
// to retryMaxDelay. Each delay is shortened by a random part of at most pollJitter, so that
// requests that were created together do not stay together. All requests of a namespace together
// read about pollRate Secrets a second.
const (
	pollBaseDelay = time.Second
	pollJitter    = 0.2
	pollRate      = 50
)

// nextPoll returns the delay before the Secret of a request is read again.
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

// isPolled returns whether a request has read its Secret before, and the Secret is not watched.
func (w *pendingTracker) isPolled(key types.NamespacedName, uid types.UID) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	entry := w.byID[key]
	return entry != nil && entry.uid == uid && entry.pollDelay > 0
}

const (
	// The first change of a Secret or an issuer triggers a reconcile at once. The minimum time to
	// the next one is triggerBaseDelay. It doubles each time, up to triggerMaxDelay, and is reset
	// after triggerReset without a change.
	triggerBaseDelay = 100 * time.Millisecond
	triggerMaxDelay  = 5 * time.Second
	triggerReset     = 2 * triggerMaxDelay
)

// nextTrigger returns the delay before a request is reconciled after a change of its Secret or
// issuer, and whether another change triggered a reconcile shortly before. A request that is not
// known has not been reconciled yet, and is not delayed.
func (w *pendingTracker) nextTrigger(key types.NamespacedName, uid types.UID, clock clock.PassiveClock) (delay time.Duration, repeated bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	entry := w.byID[key]
	if entry == nil || entry.uid != uid {
		return 0, false
	}
	quiet := clock.Since(entry.triggeredAt) - entry.triggerAfter
	if quiet < 0 {
		return -quiet, true // the last one is still delayed
	}
	entry.triggeredAt = clock.Now()
	if quiet >= triggerReset {
		entry.triggerAfter, entry.triggerDelay = 0, triggerBaseDelay
		return 0, false
	}
	entry.triggerAfter = max(0, entry.triggerDelay-quiet)
	entry.triggerDelay = min(2*entry.triggerDelay, triggerMaxDelay)
	return entry.triggerAfter, true
}

// forget drops the state of a request that is finished or deleted.
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

// entry returns the state of a request. A re-created request gets a new one.
func (w *pendingTracker) entry(key types.NamespacedName, uid types.UID) *pendingState {
	if entry := w.byID[key]; entry != nil && entry.uid == uid {
		return entry
	}
	w.drop(key)
	entry := &pendingState{uid: uid}
	w.byID[key] = entry
	return entry
}
