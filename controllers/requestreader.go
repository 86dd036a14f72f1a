// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/cert-manager/selfsigned-issuer/controllers/internal/outcome"
	"github.com/cert-manager/selfsigned-issuer/controllers/internal/request"
)

// requestReader reads large requests, which the cache does not keep, from the API server.
type requestReader struct {
	live client.Reader // must not be a cache
}

// read completes the request. If its version is not that of the cache, the write of the result
// meets a conflict.
func (r requestReader) read(ctx context.Context, kind request.Kind, request request.Request) *outcome.Decision {
	whole, err := r.get(ctx, kind, request.Object())
	switch {
	case err != nil:
		return &outcome.Decision{Reason: outcome.ReasonRequestReadError, Detail: outcome.ErrorText(err), Err: err}
	case whole == nil:
		return &outcome.Decision{Reason: outcome.ReasonRequestReadError, Detail: "it has been deleted", RequeueAfter: time.Second}
	}
	request.Complete(whole)
	return nil
}

// get returns the whole object; nil if it is deleted.
func (r requestReader) get(ctx context.Context, kind request.Kind, object client.Object) (client.Object, error) {
	return readLive(ctx, r.live, kind.NewList(), object)
}

// completeRequest reads a request that the cache keeps without its spec.
func (a *attempt) completeRequest(ctx context.Context) *outcome.Decision {
	if !a.request.Partial() {
		return nil
	}
	return a.requests.read(ctx, a.kind, a.request)
}
