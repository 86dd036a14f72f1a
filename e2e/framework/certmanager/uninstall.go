// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package certmanager

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/chart"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/poll"
)

// Uninstall stops the processes and removes the objects of Install.
func (i *Installation) Uninstall(ctx context.Context) error {
	if err := i.Stop(); err != nil {
		return err
	}
	crds, err := i.crds(ctx)
	if err != nil {
		return err
	}
	c, err := client.New(i.cluster.AdminConfig(), client.Options{})
	if err != nil {
		return err
	}
	// Webhooks first: without their server, other deletions fail.
	objects := chart.OfKind(i.objects, "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")
	objects = append(objects, crds...)
	objects = append(objects, chart.RBAC(Namespace, i.objects)...)
	for _, object := range objects {
		if err := remove(ctx, c, object); err != nil {
			return fmt.Errorf("cannot remove %s %s: %w", object.GetKind(), object.GetName(), err)
		}
	}
	return nil
}

// remove deletes an object and waits until it is removed.
func remove(ctx context.Context, c client.Client, object *unstructured.Unstructured) error {
	if err := c.Delete(ctx, object); client.IgnoreNotFound(err) != nil {
		return err
	}
	return poll.Until(ctx, func(ctx context.Context) error {
		err := c.Get(ctx, client.ObjectKeyFromObject(object), object.DeepCopy())
		if err == nil {
			return fmt.Errorf("it is still there")
		}
		return client.IgnoreNotFound(err)
	})
}
