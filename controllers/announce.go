// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// eventAction is the action of every event; events.k8s.io wants one.
const eventAction = "Sign"

// announce tells the user and the operator of a verdict that has been written: an event and
// a log line when the situation is new, and nothing on a mere repetition.
func (r *run) announce(key types.NamespacedName) {
	v := r.verdict
	object := r.request.object()
	if v.state() != pending {
		r.waits.forget(key)
		r.written.add(object)
		r.unconfirmed.forget(key)
		r.metrics.ended(r.kind.name, v)
	} else if r.postponed || r.repeated(key) {
		return
	}
	if kind := outcomes[v.situation].event; kind != "" {
		r.recorder.Eventf(object, nil, kind, string(v.situation), eventAction, v.message)
	}
	if v.certificate.EmptySubject {
		r.recorder.Eventf(object, nil, corev1.EventTypeWarning, badConfig, eventAction, badConfigMessage)
	}
	for _, note := range v.certificate.Notes {
		r.recorder.Eventf(object, nil, corev1.EventTypeWarning, adjusted, eventAction, note)
	}
	ref, _ := r.request.issuer()
	r.log.Info(v.message, "reason", v.situation, "uid", object.GetUID(), "issuer", ref.String())
}

// repeated reports whether the user has been told of this situation. A condition that says
// it already has been told before a restart.
func (r *run) repeated(key types.NamespacedName) bool {
	news := r.waits.tell(key, r.request.object().GetUID(), r.verdict.situation)
	_, hasCondition := r.request.(certificateRequest)
	return !news || (r.unstated && hasCondition)
}
