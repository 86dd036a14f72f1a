// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

// TestSelectable: the field selector is used if the API server supports it, which is checked with a
// list for one name in one namespace.
func TestSelectable(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer     error
		selectable bool
		err        string
	}{
		"supported":     {selectable: true},
		"not supported": {answer: apierrors.NewBadRequest("field label not supported: spec.issuerRef.group")},
		"no answer": {
			answer: apierrors.NewTooManyRequests("slow down", 1),
			err:    "failed to list certificaterequests.cert-manager.io, will retry: slow down",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked client.ListOptions
			live := fake.NewClientBuilder().WithScheme(Scheme()).WithInterceptorFuncs(interceptor.Funcs{
				List: func(_ context.Context, _ client.WithWatch, _ client.ObjectList, options ...client.ListOption) error {
					asked.ApplyOptions(options)
					return c.answer
				},
			}).Build()
			selectable, err := permissionChecker{live: live}.selectable(t.Context(), "")
			if selectable != c.selectable || (err == nil) != (c.err == "") || err != nil && err.Error() != c.err {
				t.Errorf("got %t, %v", selectable, err)
			}
			const want = "spec.issuerRef.group=selfsigned.cert-manager.io,metadata.name=selfsigned-issuer"
			if got := asked.FieldSelector.String(); got != want || asked.Namespace != "default" {
				t.Errorf("asked for %s in namespace %s", got, asked.Namespace)
			}
		})
	}
}

// TestCacheOptions: the caches have a transform for each type that is watched.
func TestCacheOptions(t *testing.T) {
	t.Parallel()
	options := Options{KubernetesCSRs: true}
	kinds := options.requestKinds(fakeClientManager{})
	transforms := map[string]bool{}
	for object, by := range options.cacheOptions(kinds, true).ByObject {
		transforms[fmt.Sprintf("%T", object)] = by.Transform != nil
	}
	for _, object := range options.watchedObjects(kinds) {
		if name := fmt.Sprintf("%T", object); !transforms[name] {
			t.Errorf("no transform for %s", name)
		}
	}
}

// fakeClientManager is a manager without a client.
type fakeClientManager struct{ ctrl.Manager }

func (fakeClientManager) GetClient() client.Client { return nil }
