// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"encoding/json"
	"errors"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
)

// errUnstated ends a run without a write: there is nothing to say that the object does not
// say already.
var errUnstated = errors.New("nothing to write")

func isUnstated(err error) bool { return errors.Is(err, errUnstated) }

// statusApply is a server-side apply of a status. It names the very object and version that
// the verdict is about: a stale cache, a deposed leader or a successor of the same name
// gets a conflict and can not lose a certificate.
type statusApply struct {
	metav1.TypeMeta `json:",inline"`
	Metadata        applyMetadata `json:"metadata"`
	Status          any           `json:"status"`
}

type applyMetadata struct {
	Name            string    `json:"name"`
	Namespace       string    `json:"namespace,omitempty"`
	UID             types.UID `json:"uid"`
	ResourceVersion string    `json:"resourceVersion"`
}

// Patch is issuer-lib's last question: what to write.
func (h helper) Patch() (client.Object, client.Patch, error) {
	if h.postponed = h.postpone(); h.postponed {
		return nil, nil, errUnstated
	}
	object := h.request.object()
	another := h.verdict.state() == pending &&
		h.waits.say(client.ObjectKeyFromObject(object), object.GetUID(), h.verdict.message)
	status, stated := h.request.status(h.verdict, metav1.NewTime(h.clock.Now()))
	if !stated {
		h.unstated = true
		if another && h.request.said() != "" {
			// The cache does not show the last write yet, whose answer may have been lost.
			h.verdict.retryWithin(foreignDelay)
		}
		return nil, nil, errUnstated
	}
	gvk, err := apiutil.GVKForObject(object, h.client.Scheme())
	if err != nil {
		return nil, nil, err
	}
	patch, err := applyPatch(object, gvk, status)
	if err != nil {
		return nil, nil, err
	}
	target := h.kind.newObject()
	target.SetName(object.GetName())
	target.SetNamespace(object.GetNamespace())
	return target, patch, nil
}

func applyPatch(object client.Object, gvk schema.GroupVersionKind, status any) (client.Patch, error) {
	body, err := json.Marshal(statusApply{
		TypeMeta: metav1.TypeMeta{APIVersion: gvk.GroupVersion().String(), Kind: gvk.Kind},
		Metadata: applyMetadata{
			Name:            object.GetName(),
			Namespace:       object.GetNamespace(),
			UID:             object.GetUID(),
			ResourceVersion: object.GetResourceVersion(),
		},
		Status: status,
	})
	if err != nil {
		return nil, err
	}
	return client.RawPatch(types.ApplyPatchType, body), nil
}
