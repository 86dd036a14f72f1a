// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"

	libapi "github.com/cert-manager/issuer-lib/api/v1alpha1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	apimachineryvalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/cert-manager/selfsigned-issuer/controllers/internal/outcome"
	"github.com/cert-manager/selfsigned-issuer/controllers/internal/request"
)

// issuerReader reads from the API server what the cache does not have of an issuer. An issuer and
// its first request are usually created together, and the cache may get the request first.
type issuerReader struct {
	live client.Reader // must not be a cache
}

// diagnoseMissingIssuer returns the decision on a request whose issuer is not in the cache.
func (i issuerReader) diagnoseMissingIssuer(ctx context.Context, ref request.IssuerRef) *outcome.Decision {
	if !isValidName(ref.Key) ||
		ref.Key.Namespace != "" && len(apimachineryvalidation.ValidateNamespaceName(ref.Key.Namespace, false)) > 0 {
		return &outcome.Decision{Reason: outcome.ReasonIssuerNotFound}
	}
	list := ref.NewList()
	switch err := listByName(ctx, i.live, list, ref.Key); {
	case apierrors.IsNotFound(err): // the CRD is deleted
		return &outcome.Decision{Reason: outcome.ReasonIssuerNotFound}
	case err != nil:
		return &outcome.Decision{Reason: outcome.ReasonIssuerReadError, Detail: outcome.ErrorText(err), Err: err}
	case apimeta.LenList(list) == 0:
		return &outcome.Decision{Reason: outcome.ReasonIssuerNotFound}
	default: // its event in the cache triggers a reconcile
		return &outcome.Decision{Reason: outcome.ReasonIssuerNotChecked}
	}
}

// complete reads the spec of an issuer if the cache has only a part of it. The spec can be newer
// than the rest of the cached issuer.
func (i issuerReader) complete(ctx context.Context, issuer libapi.Issuer) error {
	if !request.IsPartialIssuer(issuer) {
		return nil
	}
	whole, err := readLive(ctx, i.live, request.RefOf(issuer).NewList(), issuer)
	switch {
	case err != nil:
		return err
	case whole == nil:
		return errors.New("it has been deleted")
	}
	*request.SpecOf(issuer) = *request.SpecOf(whole.(libapi.Issuer))
	return nil
}

// readLive reads an object that the cache has only in part. It returns nil if the object is deleted
// or re-created.
func readLive(ctx context.Context, live client.Reader, list client.ObjectList, cached client.Object) (whole client.Object, err error) {
	if err := listByName(ctx, live, list, client.ObjectKeyFromObject(cached)); err != nil {
		return nil, err
	}
	err = apimeta.EachListItem(list, func(item runtime.Object) error {
		if found := item.(client.Object); found.GetUID() == cached.GetUID() {
			whole = found
		}
		return nil
	})
	return whole, err
}

// listByName reads the object with this key, if it exists, into a list: selfsigned-issuer has the
// permission to list requests and issuers, but not to get them.
func listByName(ctx context.Context, live client.Reader, list client.ObjectList, key client.ObjectKey) error {
	return live.List(ctx, list, client.InNamespace(key.Namespace), client.MatchingFields{"metadata.name": key.Name})
}
