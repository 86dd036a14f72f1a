// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"sync"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// conflicts delays the retries of status writes that met a conflict, because the cache was stale
// or the object is deleted. While the cache has the same version, another attempt would fail too.
type conflicts struct {
	clock clock.PassiveClock

	mu    sync.Mutex
	byKey map[types.NamespacedName]conflict
}

// conflict is the last conflict of an object.
type conflict struct {
	version string // as read
	delay   time.Duration
	until   time.Time
}

const (
	// The first retry follows after conflictBaseDelay. The delay doubles each time.
	conflictBaseDelay = 100 * time.Millisecond
	conflictMaxDelay  = 10 * time.Second

	// notFoundMaxDelay is the maximum after NotFound, when the cache usually gets the deletion.
	notFoundMaxDelay = 5 * time.Minute
)

func newConflicts() *conflicts {
	return &conflicts{clock: clock.RealClock{}, byKey: map[types.NamespacedName]conflict{}}
}

// isConflict returns whether the API server does not have the object in the version that was
// read.
func isConflict(err error) bool { return apierrors.IsConflict(err) || apierrors.IsNotFound(err) }

// retry returns when the object is reconciled again. If NotFound persists, it is logged once: the
// cache has missed the deletion, a proxy returns it, or the CRD lacks the subresource status.
func (c *conflicts) retry(log logr.Logger, object client.Object, err error) ctrl.Result {
	limit := conflictMaxDelay
	if apierrors.IsNotFound(err) {
		limit = notFoundMaxDelay
	}
	key := client.ObjectKeyFromObject(object)
	c.mu.Lock()
	defer c.mu.Unlock()
	before := c.byKey[key].delay
	delay := min(max(2*before, conflictBaseDelay), limit)
	c.byKey[key] = conflict{object.GetResourceVersion(), delay, c.clock.Now().Add(delay)}
	if before <= conflictMaxDelay && delay > conflictMaxDelay {
		log.Info("The API server does not find an object that is in the cache, retrying with backoff", "cause", err.Error())
	} else {
		log.V(1).Info("The object has changed since it was read, reading it again", "delay", delay, "cause", err.Error())
	}
	return ctrl.Result{RequeueAfter: delay}
}

// retryAfter returns how long this version of the object must not be written; zero if it met no
// conflict.
func (c *conflicts) retryAfter(object client.Object) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	last := c.byKey[client.ObjectKeyFromObject(object)]
	if last.version != object.GetResourceVersion() {
		return 0
	}
	return max(0, last.until.Sub(c.clock.Now()))
}

// forget drops the state of an object that was written or deleted.
func (c *conflicts) forget(key types.NamespacedName) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.byKey, key)
}
