// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/cert-manager/selfsigned-issuer/controllers/internal/outcome"
)

// permissionTimeout is the timeout of one check.
const permissionTimeout = 10 * time.Second

// permissionChecker checks whether the objects of a namespace can be listed and watched. It sends
// the same calls as the caches, with a limit of one object: unlike access reviews, their result is
// correct with every authorizer.
type permissionChecker struct {
	live  client.WithWatch // must not be a cache
	kinds []schema.GroupVersionKind
}

// missingPermissionsError has the permissions that the API server refused, such as "list secrets".
// With a Role, it is also the result for a namespace that does not exist.
type missingPermissionsError []string

func (m missingPermissionsError) Error() string {
	return "selfsigned-issuer is not allowed to " + strings.Join(m, ", ")
}

// remedy is the message with the remedy. namespace is empty for the whole cluster.
func (m missingPermissionsError) remedy(namespace string) string {
	if namespace == "" {
		return m.Error() + ". Apply the overlay again, which grants this permission."
	}
	return m.Error() + " there. Create the namespace with the Role and the RoleBinding selfsigned-issuer-manager, or remove it from --namespaces."
}

// check returns missingPermissionsError, another error without an answer of the API server, or nil
// and whether it supports ownRequests.
func (c permissionChecker) check(ctx context.Context, namespace string) (selectable bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, permissionTimeout)
	defer cancel()
	var missing missingPermissionsError
	for _, kind := range c.kinds {
		err := c.checkKind(ctx, kind, namespace)
		if more := (missingPermissionsError{}); errors.As(err, &more) {
			missing = append(missing, more...)
		} else if err != nil {
			return false, err
		}
	}
	if len(missing) > 0 {
		return false, missing
	}
	return c.selectable(ctx, namespace)
}

func (c permissionChecker) checkKind(ctx context.Context, kind schema.GroupVersionKind, namespace string) error {
	mapping, err := c.live.RESTMapper().RESTMapping(kind.GroupKind(), kind.Version)
	if err != nil {
		return fmt.Errorf("waiting for API discovery: %s", outcome.ErrorText(err))
	}
	if mapping.Scope.Name() == apimeta.RESTScopeNameRoot {
		namespace = ""
	}
	resource := mapping.Resource.GroupResource().String()
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(kind.GroupVersion().WithKind(kind.Kind + "List"))
	if err := c.live.List(ctx, list, client.InNamespace(namespace), client.Limit(1)); err != nil {
		return permissionError("list", resource, err)
	}
	// A watch from the version of the list returns no objects.
	from := &metav1.ListOptions{ResourceVersion: list.ResourceVersion, TimeoutSeconds: new(int64(1))}
	watch, err := c.live.Watch(ctx, list, client.InNamespace(namespace), &client.ListOptions{Raw: from})
	if err != nil {
		return permissionError("watch", resource, err)
	}
	watch.Stop()
	return nil
}

func permissionError(verb, resource string, err error) error {
	if apierrors.IsForbidden(err) {
		return missingPermissionsError{verb + " " + resource}
	}
	return fmt.Errorf("failed to %s %s, will retry: %s", verb, resource, outcome.ErrorText(err))
}
