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

// requestReader reads large requests, which the cache does not keep, from the API server.
type requestReader struct {
	live client.Reader // must not be a cache
}

// read completes the request. If its version is not that of the cache, the write of the result
// meets a conflict.
func (r requestReader) read(ctx context.Context, kind requestKind, request request) *decision {
	whole, err := r.get(ctx, kind, request.object())
	switch {
	case err != nil:
		return &decision{reason: ReasonRequestReadError, detail: stableErrorText(err), err: err}
	case whole == nil:
		return &decision{reason: ReasonRequestReadError, detail: "it has been deleted", requeueAfter: time.Second}
	}
	request.complete(whole)
	return nil
}

// get returns the whole object; nil if it is deleted.
func (r requestReader) get(ctx context.Context, kind requestKind, object client.Object) (whole client.Object, err error) {
	list := kind.newList()
	if err := listByName(ctx, r.live, list, client.ObjectKeyFromObject(object)); err != nil {
		return nil, err
	}
	err = apimeta.EachListItem(list, func(item runtime.Object) error {
		if found := item.(client.Object); found.GetUID() == object.GetUID() {
			whole = found
		}
		return nil
	})
	return whole, err
}

// completeRequest reads a request that the cache keeps without its spec.
func (a *attempt) completeRequest(ctx context.Context) *decision {
	if !a.request.partial() {
		return nil
	}
	return a.requests.read(ctx, a.kind, a.request)
}
