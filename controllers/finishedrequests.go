// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"time"

	"k8s.io/apimachinery/pkg/util/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// finishedRequests remembers requests that were finalized here but that the cache may still show
// as pending. Whatever wakes such a request, most of all the issuer's own check when the
// process starts, must not make it read the key, sign and meet a conflict for nothing.
type finishedRequests struct{ versions *cache.LRUExpireCache }

const (
	// A cache is behind by less than this, and by fewer requests; beyond, conflicts do no harm.
	finishedRequestTTL  = time.Minute
	maxFinishedRequests = 1000
)

func newFinishedRequests() finishedRequests {
	return finishedRequests{cache.NewLRUExpireCache(maxFinishedRequests)}
}

// add notes that the end of a request was written over this version of it.
func (w finishedRequests) add(object client.Object) {
	w.versions.Add(object.GetUID(), object.GetResourceVersion(), finishedRequestTTL)
}

// isFinalizedVersion is true when this version is the one that the end was written over.
func (w finishedRequests) isFinalizedVersion(object client.Object) bool {
	version, known := w.versions.Get(object.GetUID())
	return known && version == object.GetResourceVersion()
}
