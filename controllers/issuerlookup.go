// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	apimachineryvalidation "k8s.io/apimachinery/pkg/api/validation"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// issuerReader asks the API server itself for an issuer that the cache lacks: an issuer and
// its first request are mostly made at once, and the cache may know the request first. Nobody
// is told that an issuer does not exist because of that.
type issuerReader struct {
	live client.Reader // must not be a cache
}

// missing returns the verdict on a request whose issuer the cache lacks. It lists by name,
// since the process has the right to list issuers and does not need the one to get them.
func (i issuerReader) missing(ctx context.Context, ref issuerRef) *verdict {
	// No issuer has such a name, see keyReader.read.
	if len(apimachineryvalidation.NameIsDNSSubdomain(ref.key.Name, false)) > 0 ||
		ref.key.Namespace != "" && len(apimachineryvalidation.ValidateNamespaceName(ref.key.Namespace, false)) > 0 {
		return &verdict{situation: missingIssuer}
	}
	list := ref.newList()
	err := i.live.List(ctx, list, client.InNamespace(ref.key.Namespace), client.MatchingFields{"metadata.name": ref.key.Name})
	switch {
	case apierrors.IsNotFound(err): // the kind itself has been removed
		return &verdict{situation: missingIssuer}
	case err != nil:
		return &verdict{situation: unreadableIssuer, detail: whyFailed(err), cause: err}
	case apimeta.LenList(list) == 0:
		return &verdict{situation: missingIssuer}
	default: // its arrival in the cache wakes the request
		return &verdict{situation: uncheckedIssuer}
	}
}
