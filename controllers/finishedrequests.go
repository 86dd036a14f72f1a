// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"time"

	"k8s.io/apimachinery/pkg/util/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// finishedRequests remembers requests that were finalized but that the cache may still show as
// pending. Without it, another event of such a request, mostly from the first check of its issuer,
// would read the key, sign and meet a conflict.
type finishedRequests struct{ versions *cache.LRUExpireCache }

const (
	// A cache is usually less stale than this. Otherwise, the write meets a conflict.
	finishedRequestTTL  = time.Minute
	maxFinishedRequests = 1000
)

func newFinishedRequests() finishedRequests {
	return finishedRequests{cache.NewLRUExpireCache(maxFinishedRequests)}
}

// add remembers the version of a request that its final status was written to.
func (w finishedRequests) add(object client.Object) {
	w.versions.Add(object.GetUID(), object.GetResourceVersion(), finishedRequestTTL)
}

// isFinalizedVersion returns whether the final status was written to this version.
func (w finishedRequests) isFinalizedVersion(object client.Object) bool {
	version, known := w.versions.Get(object.GetUID())
	return known && version == object.GetResourceVersion()
}
