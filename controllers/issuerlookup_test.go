// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// unreachable is an API server that must not be asked.
type unreachable struct{ client.Reader }

func (unreachable) List(context.Context, client.ObjectList, ...client.ListOption) error {
	return errors.New("was asked")
}

// TestImpossibleIssuerNames: a name that no issuer can have is no reason to ask, since the
// API server's refusal would look like a failure that passes.
func TestImpossibleIssuerNames(t *testing.T) {
	t.Parallel()
	reader := issuerReader{unreachable{}}
	for _, ref := range []issuerRef{
		{issuerKind, types.NamespacedName{Namespace: "sandbox", Name: ""}},
		{issuerKind, types.NamespacedName{Namespace: "sandbox", Name: "a/../b"}},
		{issuerKind, types.NamespacedName{Namespace: "a.b", Name: "issuer"}},
		{clusterIssuerKind, types.NamespacedName{Name: strings.Repeat("x", 1<<20)}},
		{clusterIssuerKind, types.NamespacedName{Name: "nul\x00,metadata.name!=x"}},
	} {
		if got := reader.diagnoseMissingIssuer(t.Context(), ref).reason; got != ReasonIssuerNotFound {
			t.Errorf("%.40q: %s, want %s", ref, got, ReasonIssuerNotFound)
		}
	}
	possible := issuerRef{issuerKind, types.NamespacedName{Namespace: "sandbox", Name: "issuer.1"}}
	if got := reader.diagnoseMissingIssuer(t.Context(), possible).reason; got != ReasonIssuerReadError {
		t.Errorf("%s: %s, want %s", possible, got, ReasonIssuerReadError)
	}
}
