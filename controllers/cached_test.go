// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"strings"
	"testing"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/cert-manager/selfsigned-issuer/controllers/internal/outcome"
	"github.com/cert-manager/selfsigned-issuer/controllers/internal/request"
	"github.com/cert-manager/selfsigned-issuer/controllers/internal/testsupport"
)

// stripUnusedFields applies the transforms of the caches.
func stripUnusedFields(object any) (any, error) {
	for _, transform := range []toolscache.TransformFunc{
		request.CertificateRequests().Transform, request.CertificateSigningRequests("", request.AccessReviewer{}).Transform, request.TransformSecret, request.TransformIssuer,
	} {
		var err error
		if object, err = transform(object); err != nil {
			return nil, err
		}
	}
	return object, nil
}

// strip returns an object as a reader of the cache gets it.
func strip[T client.Object](t *testing.T, object T) T {
	t.Helper()
	stripped, err := stripUnusedFields(object)
	if err != nil {
		t.Fatal(err)
	}
	return stripped.(client.Object).DeepCopyObject().(T)
}

// TestStripKeepsMessages: an invalid name is truncated, and its message is the same.
func TestStripKeepsMessages(t *testing.T) {
	t.Parallel()
	key := testsupport.Key(t)
	for _, name := range []string{
		strings.Repeat("a", 253), strings.Repeat("a", 254), strings.Repeat("a", 400), strings.Repeat("ä", 200), strings.Repeat("ä%", 100<<10),
		strings.Repeat("\u2028", 10<<10), strings.Repeat("\U0001f512", 10<<10), strings.Repeat("\U000e0001", 10<<10), " " + strings.Repeat(".", 1000),
	} {
		object := testsupport.ApprovedRequest(t, key, time.Now())
		object.Annotations[cmapi.CertificateRequestPrivateKeyAnnotationKey], object.Spec.IssuerRef.Name = name, name
		kind := request.CertificateRequests()
		before, after := kind.Wrap(object.DeepCopy()), kind.Wrap(strip(t, object))
		if got, want := after.KeySecret().Name, before.KeySecret().Name; len(want) <= 253 && got != want || len(got) > 410 {
			t.Errorf("%d bytes of the Secret's name are kept", len(got))
		}
		for _, s := range []outcome.Reason{outcome.ReasonSecretNotFound, outcome.ReasonIssuerNotFound} {
			if got, want := messageAbout(after, s), messageAbout(before, s); got != want {
				t.Errorf("\n got %q\nwant %q", got, want)
			}
		}
	}
}

func messageAbout(r request.Request, s outcome.Reason) string {
	a := &attempt{request: r, requestReconciler: &requestReconciler{kind: request.CertificateRequests()}}
	a.decide(&outcome.Decision{Reason: s})
	return a.decision.Message
}

// TestPlaceholderEvents: a finished request in the cache is not reconciled, and a re-created request
// with the same name is.
func TestPlaceholderEvents(t *testing.T) {
	t.Parallel()
	kind, key, tracker := request.CertificateRequests(), testsupport.Key(t), newPendingTracker()
	predicate, foreign := requestPredicate(kind), statusChangedByOthers(kind, tracker)
	pending := testsupport.ApprovedRequest(t, key, time.Now())
	issued := testsupport.ApprovedRequest(t, key, time.Now())
	issued.Status.Certificate = []byte("certificate")
	placeholder := func(object client.Object) client.Object {
		kept, _ := kind.Transform(object)
		return kept.(client.Object)
	}
	done, other := placeholder(issued), placeholder(&cmapi.CertificateRequest{})
	if predicate.Create(event.CreateEvent{Object: done}) || predicate.Create(event.CreateEvent{Object: other}) {
		t.Error("a finished or a foreign request is reconciled")
	}
	if update := (event.UpdateEvent{ObjectOld: pending, ObjectNew: done}); predicate.Update(update) || foreign.Update(update) {
		t.Error("a request that became finished is reconciled")
	}
	again := pending.DeepCopy()
	again.UID = "another"
	if !predicate.Update(event.UpdateEvent{ObjectOld: done, ObjectNew: again}) {
		t.Error("a request that was created again is not reconciled")
	}
	if !predicate.Delete(event.DeleteEvent{Object: done}) || predicate.Delete(event.DeleteEvent{Object: other}) {
		t.Error("of the finished and the foreign request, only the first one is to be forgotten")
	}
	for name, values := range kind.Indexes() {
		if indexed := append(values(done), values(other)...); len(indexed) > 0 {
			t.Errorf("index %s has %q", name, indexed)
		}
	}
	tracker.markReported(client.ObjectKeyFromObject(pending), pending.UID, outcome.ReasonSecretNotFound)
	forgetFinished(kind, tracker).Update(context.Background(), event.UpdateEvent{ObjectOld: pending, ObjectNew: done}, nil)
	if len(tracker.byID) > 0 {
		t.Error("a finished request is remembered")
	}
}
