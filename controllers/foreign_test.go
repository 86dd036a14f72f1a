// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"testing"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/cert-manager/selfsigned-issuer/controllers/internal/request"
	"github.com/cert-manager/selfsigned-issuer/controllers/internal/testsupport"
)

// TestStatusChangedByOthers: writes of another replica to a pending request trigger a reconcile, and
// own writes do not.
func TestStatusChangedByOthers(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tracker := newPendingTracker()
	predicate := statusChangedByOthers(request.CertificateRequests(), tracker)
	said := func(message, reason string) *cmapi.CertificateRequest {
		request := testsupport.ApprovedRequest(t, key, time.Now())
		request.Status.Conditions = append(request.Status.Conditions, cmapi.CertificateRequestCondition{
			Type: cmapi.CertificateRequestConditionReady, Status: cmmeta.ConditionFalse, Reason: reason, Message: message,
		})
		return request
	}
	before, after := said("Waiting for A", "Pending"), said("Waiting for B", "Pending")
	update := event.UpdateEvent{ObjectOld: before, ObjectNew: after}
	if !predicate.Update(update) {
		t.Error("a message of another replica was not looked at")
	}
	tracker.recordMessage(client.ObjectKeyFromObject(after), after.UID, "Waiting for B")
	if predicate.Update(update) {
		t.Error("our own message was looked at")
	}
	tracker.recordMessage(client.ObjectKeyFromObject(after), "another", "Waiting for C")
	if !predicate.Update(update) {
		t.Error("what was said to a namesake was taken for our own")
	}
	if predicate.Update(event.UpdateEvent{ObjectOld: after, ObjectNew: after}) {
		t.Error("an update of something else was looked at")
	}
	if predicate.Update(event.UpdateEvent{ObjectOld: before, ObjectNew: said("No", "Failed")}) {
		t.Error("a finished request was looked at")
	}
}
