// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package request

import (
	"context"

	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// The indexes have only unfinished requests, so that the cost of an event of a Secret or an
// issuer does not depend on finished requests. The last one is for the gauges and includes
// requests that are not approved.
const (
	BySecret     = "waitingForSecret"
	ByIssuer     = "waitingForIssuer"
	ByUnfinished = "unfinished"
)

// Indexes returns the functions of the indexes by their names.
func (k Kind) Indexes() map[string]client.IndexerFunc {
	return map[string]client.IndexerFunc{BySecret: k.secretsWaitedFor, ByIssuer: k.issuersWaitedFor, ByUnfinished: k.unfinished}
}

// secretsWaitedFor has the Secret of a pending request.
func (k Kind) secretsWaitedFor(object client.Object) []string {
	r := k.Wrap(object)
	if _, ours := r.Issuer(); !ours || !IsPending(r) {
		return nil
	}
	return []string{r.KeySecret().String()}
}

// unfinished is "true" for our unfinished requests.
func (k Kind) unfinished(object client.Object) []string {
	r := k.Wrap(object)
	if _, ours := r.Issuer(); !ours || r.Finished() {
		return nil
	}
	return []string{"true"}
}

// issuersWaitedFor has the issuer of a pending request.
func (k Kind) issuersWaitedFor(object client.Object) []string {
	r := k.Wrap(object)
	ref, ours := r.Issuer()
	if !ours || !IsPending(r) {
		return nil
	}
	return []string{ref.String()}
}

// ForEach calls do with each object of a list in the cache. do must not change it.
func ForEach(ctx context.Context, cache client.Reader, list client.ObjectList, do func(client.Object), options ...client.ListOption) error {
	options = append(options, client.UnsafeDisableDeepCopy)
	if err := cache.List(ctx, list, options...); err != nil {
		return err
	}
	return apimeta.EachListItem(list, func(item runtime.Object) error {
		do(item.(client.Object))
		return nil
	})
}
