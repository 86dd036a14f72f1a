// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// eventAction is the action of all events, which events.k8s.io requires.
const eventAction = "Sign"

// record reports a decision with an event and a log line, unless it was reported before. written
// is false if the object had it already or has no field for it.
func (a *attempt) record(written bool) {
	v := a.decision
	object := a.request.object()
	key := client.ObjectKeyFromObject(object)
	if v.state() != pending {
		a.tracker.forget(key)
		a.finishedRequests.add(object)
		a.unconfirmed.forget(key)
		a.metrics.ended(a.kind.name, v)
	} else if a.alreadyReported(key, written) {
		return
	}
	if kind := outcomes[v.reason].event; kind != "" {
		a.recorder.Eventf(object, nil, kind, string(v.reason), eventAction, v.message)
	}
	if v.certificate.EmptySubject {
		a.recorder.Eventf(object, nil, corev1.EventTypeWarning, badConfig, eventAction, badConfigMessage)
	}
	for _, warning := range v.certificate.Warnings {
		a.recorder.Eventf(object, nil, corev1.EventTypeWarning, adjusted, eventAction, warning)
	}
	ref, _ := a.request.issuer()
	a.log.Info(v.message, "reason", v.reason, "uid", object.GetUID(), "issuer", ref.String())
}

// alreadyReported returns whether an event was sent for this decision. If the condition had it
// already, it was reported before a restart.
func (a *attempt) alreadyReported(key types.NamespacedName, written bool) bool {
	isNew := a.tracker.markReported(key, a.request.object().GetUID(), a.decision.reason)
	_, hasCondition := a.request.(certificateRequest)
	return !isNew || (!written && hasCondition)
}
