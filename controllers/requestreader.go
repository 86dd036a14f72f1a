// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"time"

	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// requestReader reads from the API server what the cache has left out of a large request.
type requestReader struct {
	live client.Reader // must not be a cache
}

// read completes the request. The version that was read need not be the one in the cache: the
// result is only written if it is.
func (r requestReader) read(ctx context.Context, kind requestKind, request request) *verdict {
	object := request.object()
	list := kind.newList()
	err := listByName(ctx, r.live, list, client.ObjectKeyFromObject(object))
	if err != nil {
		return &verdict{situation: unreadableRequest, detail: whyFailed(err), cause: err}
	}
	completed := false
	err = apimeta.EachListItem(list, func(item runtime.Object) error {
		if whole := item.(client.Object); whole.GetUID() == object.GetUID() {
			request.complete(whole)
			completed = true
		}
		return nil
	})
	if err != nil || !completed {
		return &verdict{situation: unreadableRequest, detail: "it has been deleted", retryAfter: time.Second}
	}
	return nil
}

// completeRequest reads what the cache has left out.
func (r *run) completeRequest(ctx context.Context) *verdict {
	if !r.request.partial() {
		return nil
	}
	return r.requests.read(ctx, r.kind, r.request)
}
