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

// conflicts delays the retries of status writes that did not find the version of the object
// that was read, because the cache was behind or the object is gone. As long as the cache
// shows the same version, another attempt would sign and write in vain.
type conflicts struct {
	clock clock.PassiveClock

	mu    sync.Mutex
	byKey map[types.NamespacedName]conflict
}

// conflict is the last such write of an object.
type conflict struct {
	version string // that was read
	delay   time.Duration
	until   time.Time
}

const (
	// A retry follows after conflictBaseDelay, then after twice as long each time.
	conflictBaseDelay = 100 * time.Millisecond
	conflictMaxDelay  = 10 * time.Second

	// notFoundMaxDelay is the longest delay after NotFound: what is gone does not come back, and
	// the cache will show that.
	notFoundMaxDelay = 5 * time.Minute
)

func newConflicts() *conflicts {
	return &conflicts{clock: clock.RealClock{}, byKey: map[types.NamespacedName]conflict{}}
}

// isConflict reports whether a write has failed because of the object's version or absence.
func isConflict(err error) bool { return apierrors.IsConflict(err) || apierrors.IsNotFound(err) }

// retry returns when the object is reconciled again after such a failure, which is no error.
// NotFound for an object that the cache keeps showing is logged once: the cache has missed its
// deletion, a proxy answers so, or the CRD has no status.
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
		log.Info("The cache has an object that the API server does not find, retrying at growing intervals", "cause", err.Error())
	} else {
		log.V(1).Info("The object has changed since it was read, reading it again", "delay", delay, "cause", err.Error())
	}
	return ctrl.Result{RequeueAfter: delay}
}

// pause returns how long to wait before anything is done about this version of the object;
// zero if nothing is known against it.
func (c *conflicts) pause(object client.Object) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	last := c.byKey[client.ObjectKeyFromObject(object)]
	if last.version != object.GetResourceVersion() {
		return 0
	}
	return max(0, last.until.Sub(c.clock.Now()))
}

// forget drops an object that was written or is gone.
func (c *conflicts) forget(key types.NamespacedName) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.byKey, key)
}
