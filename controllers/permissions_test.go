// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"testing"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

// TestPermissionChecker: a missing permission is a different error than an unavailable API server.
func TestPermissionChecker(t *testing.T) {
	t.Parallel()
	secrets := schema.GroupResource{Resource: "secrets"}
	refused := apierrors.NewForbidden(secrets, "", errors.New("no RBAC policy matched"))
	for name, c := range map[string]struct {
		list, watch error
		want        string
		missing     bool
	}{
		"allowed":           {},
		"list refused":      {list: refused, missing: true, want: "selfsigned-issuer is not allowed to list secrets"},
		"watch refused":     {watch: refused, missing: true, want: "selfsigned-issuer is not allowed to watch secrets"},
		"no answer to list": {list: apierrors.NewTooManyRequests("slow down", 1), want: "failed to list secrets, will retry: slow down"},
		"expired token":     {watch: apierrors.NewUnauthorized("expired"), want: "failed to watch secrets, will retry: expired"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := checkerWith(c.list, c.watch).check(t.Context(), "sandbox")
			if got := errors.As(err, new(missingPermissionsError)); got != c.missing {
				t.Errorf("%v is a missing permission: %t, want %t", err, got, c.missing)
			}
			if (err == nil) != (c.want == "") || err != nil && err.Error() != c.want {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// checkerWith returns a checker whose API server calls functions for Secrets of the namespace
// sandbox.
func checkerWith(listed, watched error) permissionChecker {
	kinds := []schema.GroupVersionKind{
		cmapi.SchemeGroupVersion.WithKind(cmapi.CertificateRequestKind), corev1.SchemeGroupVersion.WithKind("Secret"),
	}
	mapper := apimeta.NewDefaultRESTMapper(nil)
	for _, kind := range kinds {
		mapper.Add(kind, apimeta.RESTScopeNamespace)
	}
	secretsOf := func(list client.ObjectList, options []client.ListOption) bool {
		o := (&client.ListOptions{}).ApplyOptions(options)
		return list.GetObjectKind().GroupVersionKind().Kind == "SecretList" && o.Namespace == "sandbox"
	}
	live := fake.NewClientBuilder().WithScheme(Scheme()).WithRESTMapper(mapper).WithInterceptorFuncs(interceptor.Funcs{
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
			if secretsOf(list, options) && listed != nil {
				return listed
			}
			if (&client.ListOptions{}).ApplyOptions(options).FieldSelector != nil {
				return nil // see TestSelectable
			}
			return c.List(ctx, list, options...)
		},
		Watch: func(ctx context.Context, c client.WithWatch, list client.ObjectList, options ...client.ListOption) (watch.Interface, error) {
			if secretsOf(list, options) && watched != nil {
				return nil, watched
			}
			return c.Watch(ctx, list, options...)
		},
	}).Build()
	return permissionChecker{live: live, kinds: kinds}
}
