// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"encoding/json"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/cert-manager/selfsigned-issuer/controllers/internal/outcome"
)

// status returns the status with the decision, and false if the object has it already or has no
// field for it.
func (a *attempt) status() (_ any, changed bool) {
	object := a.request.Object()
	another := a.decision.State() == outcome.Pending &&
		a.tracker.recordMessage(client.ObjectKeyFromObject(object), object.GetUID(), a.decision.Message)
	status, changed := a.request.Status(a.decision, metav1.NewTime(a.clock.Now()))
	if !changed && another && a.request.ReadyMessage() != "" {
		// The cache does not have the last write yet, whose response may have been lost.
		a.decision.RequeueWithin(foreignDelay)
	}
	return status, changed
}

// apply writes a status.
func (a *attempt) apply(ctx context.Context, status any, options ...client.SubResourcePatchOption) error {
	object := a.request.Object()
	gvk, err := apiutil.GVKForObject(object, a.client.Scheme())
	if err != nil {
		return err
	}
	patch, err := applyPatch(object, gvk, status)
	if err != nil {
		return err
	}
	target := a.kind.NewObject()
	target.SetName(object.GetName())
	target.SetNamespace(object.GetNamespace())
	err = a.client.Status().Patch(ctx, target, patch, options...)
	if err != nil && !isConflict(err) && a.decision.State() != outcome.Pending {
		a.unconfirmed.add(object, unconfirmedEndOf(a.decision))
	}
	return err
}

// applyPatch returns a server-side apply of a status to the object and version that were read. If
// the cache is stale, another replica is the leader or the object was re-created, the API server
// returns a conflict, and no certificate is overwritten.
func applyPatch(object client.Object, gvk schema.GroupVersionKind, status any) (client.Patch, error) {
	metadata := metav1ac.ObjectMeta().WithName(object.GetName()).WithUID(object.GetUID()).WithResourceVersion(object.GetResourceVersion())
	if namespace := object.GetNamespace(); namespace != "" {
		metadata.WithNamespace(namespace)
	}
	body, err := json.Marshal(map[string]any{
		"apiVersion": gvk.GroupVersion().String(), "kind": gvk.Kind, "metadata": metadata, "status": status,
	})
	if err != nil {
		return nil, err
	}
	return client.RawPatch(types.ApplyPatchType, body), nil
}
