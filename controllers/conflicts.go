// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"sync"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/flowcontrol"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// conflicts delays the retries of status writes that did not find the version of the object
// that was read, because the cache was behind or the object is gone. As long as the cache
// shows the same version, another attempt would sign and write in vain.
type conflicts struct {
	delays *flowcontrol.Backoff

	mu       sync.Mutex
	versions map[types.NamespacedName]string // the version that was read
}

const (
	// A retry follows after conflictBaseDelay, then after twice as long each time.
	conflictBaseDelay = 100 * time.Millisecond
	conflictMaxDelay  = 10 * time.Second
)

func newConflicts() *conflicts {
	return &conflicts{
		delays:   flowcontrol.NewBackOff(conflictBaseDelay, conflictMaxDelay),
		versions: map[types.NamespacedName]string{},
	}
}

// isConflict reports whether a write has failed because of the object's version or absence.
func isConflict(err error) bool { return apierrors.IsConflict(err) || apierrors.IsNotFound(err) }

// retry returns when the object is reconciled again after such a failure. It is no error, as
// long as the next read of the cache may explain it. NotFound for an object that the cache
// keeps showing is an error: a proxy answers so, or the CRD is not served.
func (c *conflicts) retry(log logr.Logger, object client.Object, err error) (ctrl.Result, error) {
	key := client.ObjectKeyFromObject(object)
	c.mu.Lock()
	c.versions[key] = object.GetResourceVersion()
	c.mu.Unlock()
	c.delays.Next(key.String(), c.delays.Clock.Now())
	delay := c.delays.Get(key.String())
	if apierrors.IsNotFound(err) && delay == conflictMaxDelay {
		return ctrl.Result{}, err
	}
	log.V(1).Info("The object has changed since it was read, reading it again", "delay", delay, "cause", err.Error())
	return ctrl.Result{RequeueAfter: delay}, nil
}

// pause returns how long to wait before anything is done about this version of the object;
// zero if nothing is known against it.
func (c *conflicts) pause(object client.Object) time.Duration {
	key := client.ObjectKeyFromObject(object)
	c.mu.Lock()
	version := c.versions[key]
	c.mu.Unlock()
	if version != object.GetResourceVersion() || !c.delays.IsInBackOffSinceUpdate(key.String(), c.delays.Clock.Now()) {
		return 0
	}
	return c.delays.Get(key.String())
}

// forget drops an object that was written or is gone.
func (c *conflicts) forget(key types.NamespacedName) {
	c.mu.Lock()
	delete(c.versions, key)
	c.mu.Unlock()
	c.delays.DeleteEntry(key.String())
}
