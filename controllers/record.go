// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/cert-manager/selfsigned-issuer/controllers/internal/outcome"
)

// eventAction is the action of all events, which events.k8s.io requires.
const eventAction = "Sign"

// record reports a decision with an event and a log line, unless it was reported before. written
// is false if the object had it already or has no field for it.
func (a *attempt) record(written bool) {
	d := a.decision
	object := a.request.Object()
	key := client.ObjectKeyFromObject(object)
	if d.State() != outcome.Pending {
		a.tracker.forget(key)
		a.finishedRequests.add(object)
		a.unconfirmed.forget(key)
		a.metrics.Ended(a.kind.Name, d)
	} else if a.alreadyReported(key, written) {
		return
	}
	if kind := outcome.Table[d.Reason].EventType; kind != "" {
		a.recorder.Eventf(object, nil, kind, string(d.Reason), eventAction, d.Message)
	}
	if d.Certificate.EmptySubject {
		a.recorder.Eventf(object, nil, corev1.EventTypeWarning, outcome.BadConfig, eventAction, outcome.Warnings[outcome.BadConfig])
	}
	for _, warning := range d.Certificate.Warnings {
		a.recorder.Eventf(object, nil, corev1.EventTypeWarning, outcome.Adjusted, eventAction, warning)
	}
	ref, _ := a.request.Issuer()
	a.log.Info(d.Message, "reason", d.Reason, "uid", object.GetUID(), "issuer", ref.String())
}

// alreadyReported returns whether an event was sent for this decision. If the condition had it
// already, it was reported before a restart.
func (a *attempt) alreadyReported(key types.NamespacedName, written bool) bool {
	isNew := a.tracker.markReported(key, a.request.Object().GetUID(), a.decision.Reason)
	return !isNew || (!written && a.kind.HasCondition)
}
