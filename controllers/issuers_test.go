// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	libapi "github.com/cert-manager/issuer-lib/api/v1alpha1"
	libcontrollers "github.com/cert-manager/issuer-lib/controllers"
	"github.com/go-logr/logr/funcr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	selfsigned "github.com/cert-manager/selfsigned-issuer/api/v1alpha1"
	"github.com/cert-manager/selfsigned-issuer/controllers/internal/request"
	"github.com/cert-manager/selfsigned-issuer/controllers/internal/testsupport"
)

var issuerKey = client.ObjectKey{Namespace: "sandbox", Name: "issuer"}

// issuerFixture has one issuer, and an API server that calls a function for each status write.
type issuerFixture struct {
	reconciler *issuerReconciler
	client     client.Client
	recorder   *events.FakeRecorder
	clock      *clocktesting.FakeClock
	log        *strings.Builder
	writes     *int
}

func newIssuerFixture(t *testing.T, issuer *selfsigned.SelfSignedIssuer, answer func(attempt int) (stored bool, err error)) issuerFixture {
	t.Helper()
	f := issuerFixture{
		recorder: events.NewFakeRecorder(10), clock: clocktesting.NewFakeClock(time.Now()),
		log: &strings.Builder{}, writes: new(int),
	}
	f.client = fake.NewClientBuilder().WithScheme(Scheme()).WithStatusSubresource(issuer).WithObjects(issuer).
		WithInterceptorFuncs(interceptor.Funcs{
			SubResourcePatch: func(ctx context.Context, c client.Client, _ string, object client.Object, patch client.Patch, _ ...client.SubResourcePatchOption) error {
				*f.writes++
				stored, err := answer(*f.writes)
				if stored {
					if conflict := applyIssuerStatus(ctx, c, object, patch); conflict != nil {
						return conflict
					}
				}
				return err
			},
		}).Build()
	f.reconciler = newIssuerReconciler(libcontrollers.IssuerReconciler{
		ForObject:     request.IssuerRef{Kind: request.IssuerKind}.NewObject(),
		FieldOwner:    Name,
		EventSource:   noEvents{},
		Client:        f.client,
		Check:         check,
		EventRecorder: f.recorder,
		Clock:         clock.RealClock{},
	}, issuerReader{f.client})
	f.reconciler.conflicts.clock = f.clock
	return f
}

func accepted(int) (bool, error) { return true, nil }

// applyIssuerStatus is a server-side apply with the API server's preconditions.
func applyIssuerStatus(ctx context.Context, c client.Client, object client.Object, patch client.Patch) error {
	body, err := patch.Data(object)
	if err != nil {
		return err
	}
	var applied struct {
		Metadata metav1.ObjectMeta
		Status   selfsigned.SelfSignedIssuerStatus
	}
	if err := json.Unmarshal(body, &applied); err != nil {
		return err
	}
	var issuer selfsigned.SelfSignedIssuer
	if err := c.Get(ctx, client.ObjectKeyFromObject(object), &issuer); err != nil {
		return err
	}
	if (applied.Metadata.UID != "" && applied.Metadata.UID != issuer.UID) ||
		(applied.Metadata.ResourceVersion != "" && applied.Metadata.ResourceVersion != issuer.ResourceVersion) {
		return apierrors.NewConflict(schema.GroupResource{Resource: "selfsignedissuers"}, object.GetName(), errors.New("changed"))
	}
	issuer.Status = applied.Status
	return c.Status().Update(ctx, &issuer)
}

func (f issuerFixture) reconcile() (ctrl.Result, error) {
	logger := funcr.New(func(_, args string) { f.log.WriteString(args + "\n") }, funcr.Options{})
	return f.reconciler.Reconcile(log.IntoContext(context.Background(), logger), ctrl.Request{NamespacedName: issuerKey})
}

func (f issuerFixture) ready(t *testing.T) metav1.Condition {
	t.Helper()
	var issuer selfsigned.SelfSignedIssuer
	if err := f.client.Get(t.Context(), issuerKey, &issuer); err != nil {
		t.Fatal(err)
	}
	if ready := request.ReadyCondition(&issuer); ready != nil {
		return *ready
	}
	return metav1.Condition{}
}

// checkStalled checks that a status of generation 2 is stalled, with the message of its Ready condition.
func (f issuerFixture) checkStalled(t *testing.T, want bool) {
	t.Helper()
	var issuer selfsigned.SelfSignedIssuer
	if err := f.client.Get(t.Context(), issuerKey, &issuer); err != nil {
		t.Fatal(err)
	}
	stalled := apimeta.FindStatusCondition(issuer.Status.Conditions, selfsigned.ConditionStalled)
	is := stalled != nil && stalled.Status == metav1.ConditionTrue
	if issuer.Status.ObservedGeneration != 2 || is != want || stalled != nil && stalled.Message != f.ready(t).Message {
		t.Errorf("the status is %+v, want generation 2, stalled: %v", issuer.Status, want)
	}
}

// checkAnnounced checks that one event and one log line report the issuer as ready.
func (f issuerFixture) checkAnnounced(t *testing.T, times int) {
	t.Helper()
	if sent, logged := len(f.recorder.Events), strings.Count(f.log.String(), "The issuer is Ready"); sent != times || logged != times {
		t.Errorf("%d events and %d log lines, want %d: %s", sent, logged, times, f.log)
	}
}

// issuerReadyFor returns an issuer of generation 2 that is Ready for the observed one.
func issuerReadyFor(observed int64) *selfsigned.SelfSignedIssuer {
	issuer := testsupport.ReadyIssuer()
	issuer.UID, issuer.Generation = "the-uid", 2
	issuer.Status.ObservedGeneration = observed
	issuer.Status.Conditions[0].Message = "Succeeded checking the issuer"
	issuer.Status.Conditions[0].ObservedGeneration = observed
	return issuer
}

// TestIssuerStatusIsRepaired: another client has written a Ready condition for an older generation.
// The issuer is checked again, and requests continue.
func TestIssuerStatusIsRepaired(t *testing.T) {
	t.Parallel()
	if !issuerStatusChanged().Update(event.UpdateEvent{ObjectOld: issuerReadyFor(2), ObjectNew: issuerReadyFor(1)}) {
		t.Error("a Ready condition that goes back to generation 1 starts no reconcile")
	}
	if issuerStatusChanged().Update(event.UpdateEvent{ObjectOld: issuerReadyFor(2), ObjectNew: issuerReadyFor(2)}) {
		t.Error("an update of something else starts a reconcile")
	}
	f := newIssuerFixture(t, issuerReadyFor(1), accepted)
	if result, err := f.reconcile(); err != nil || result != (ctrl.Result{}) {
		t.Fatalf("got %+v, %v", result, err)
	}
	if got := f.ready(t); got.ObservedGeneration != 2 || got.Status != metav1.ConditionTrue {
		t.Errorf("after another check: %+v", got)
	}
	f.checkAnnounced(t, 1)

	requests := newFixture(t, interceptor.Funcs{})
	for _, step := range []struct {
		issuer *selfsigned.SelfSignedIssuer
		want   cmmeta.ConditionStatus
	}{{issuerReadyFor(1), cmmeta.ConditionFalse}, {issuerReadyFor(2), cmmeta.ConditionTrue}} {
		var before selfsigned.SelfSignedIssuer
		if err := requests.client.Get(t.Context(), issuerKey, &before); err != nil {
			t.Fatal(err)
		}
		step.issuer.ResourceVersion = before.ResourceVersion
		if err := requests.client.Update(t.Context(), step.issuer); err != nil {
			t.Fatal(err)
		}
		if _, err := requests.reconcile(); err != nil {
			t.Fatal(err)
		}
		if got := requests.ready(t); got.Status != step.want {
			t.Errorf("with an issuer that is Ready for generation %d: %+v", step.issuer.Status.Conditions[0].ObservedGeneration, got)
		}
	}
}

// TestIssuerIsCheckedAtStart: each issuer is checked at the start, for any Ready condition. Only a
// different result is written.
func TestIssuerIsCheckedAtStart(t *testing.T) {
	t.Parallel()
	const valid, invalid = "http://example.com/crl", "ftp://example.com/crl"
	for name, test := range map[string]struct {
		ready   metav1.ConditionStatus
		stalled bool
		url     string
		want    metav1.ConditionStatus
		writes  int
	}{
		"Failed by a stricter rule, or by somebody else": {metav1.ConditionFalse, true, valid, metav1.ConditionTrue, 1},
		"Failed and invalid":                             {metav1.ConditionFalse, true, invalid, metav1.ConditionFalse, 0},
		"Failed by an older version":                     {metav1.ConditionFalse, false, invalid, metav1.ConditionFalse, 1},
		"Ready by a more lenient rule":                   {metav1.ConditionTrue, false, invalid, metav1.ConditionFalse, 1},
		"Ready and valid":                                {metav1.ConditionTrue, false, valid, metav1.ConditionTrue, 0},
		"Ready and stalled by somebody else":             {metav1.ConditionTrue, true, valid, metav1.ConditionTrue, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			issuer := issuerReadyFor(2)
			issuer.Spec.CRLDistributionPoints = []string{test.url}
			ready := request.ReadyCondition(issuer)
			if test.ready == metav1.ConditionFalse {
				ready.Status, ready.Reason = test.ready, libapi.IssuerConditionReasonFailed
				ready.Message = fmt.Sprintf("Failed permanently: %v", check(t.Context(), issuer))
			}
			if test.stalled {
				stalled := *ready
				stalled.Type, stalled.Status = selfsigned.ConditionStalled, metav1.ConditionTrue
				issuer.Status.Conditions = append(issuer.Status.Conditions, stalled)
			}
			f := newIssuerFixture(t, issuer, accepted)
			for attempt := range 3 {
				_, err := f.reconcile()
				if reported := err != nil; reported != (attempt == 0 && test.writes > 0 && test.url == invalid) {
					t.Errorf("attempt %d: %v, want the error of the check once, after it was written", attempt, err)
				}
				if got := f.ready(t); got.Status != test.want || got.ObservedGeneration != 2 {
					t.Errorf("the issuer has %+v", got)
				}
				f.checkStalled(t, test.want == metav1.ConditionFalse)
				if *f.writes != test.writes || len(f.recorder.Events) != test.writes {
					t.Errorf("%d writes and %d events, want %d", *f.writes, len(f.recorder.Events), test.writes)
				}
			}
		})
	}
}

// TestOlderCRDs: the API server refuses status.observedGeneration. The issuer becomes Ready without it,
// and is reported once.
func TestOlderCRDs(t *testing.T) {
	t.Parallel()
	f := newIssuerFixture(t, issuerReadyFor(1), func(attempt int) (bool, error) {
		if attempt == 2 {
			return true, nil
		}
		return false, errors.New("failed to create typed patch object: .status.observedGeneration: field not declared in schema")
	})
	for attempt := range 3 {
		if result, err := f.reconcile(); err != nil || result != (ctrl.Result{}) {
			t.Fatalf("got %+v, %v", result, err)
		}
		if want := attempt + 2; *f.writes != want { // the last ones only find out whether the CRDs are new
			t.Errorf("%d writes, want %d", *f.writes, want)
		}
	}
	if got := f.ready(t); got.Status != metav1.ConditionTrue || got.ObservedGeneration != 2 {
		t.Errorf("the issuer has %+v", got)
	}
	f.checkAnnounced(t, 1)
	if !strings.Contains(f.log.String(), "The CRDs are older than selfsigned-issuer") {
		t.Errorf("the log does not name the fix: %s", f.log)
	}
}

// TestLateIssuerStatus: the issuer is changed or re-created before the API server gets the write.
// The write changes nothing, is not an error and is retried with backoff.
func TestLateIssuerStatus(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(context.Context, client.Client, *selfsigned.SelfSignedIssuer) error{
		"another spec": func(ctx context.Context, c client.Client, issuer *selfsigned.SelfSignedIssuer) error {
			issuer.Spec.CRLDistributionPoints = []string{"http://example.com/crl"}
			return c.Update(ctx, issuer)
		},
		"a successor": func(ctx context.Context, c client.Client, issuer *selfsigned.SelfSignedIssuer) error {
			if err := c.Delete(ctx, issuer); err != nil {
				return err
			}
			issuer.UID, issuer.ResourceVersion, issuer.Status = "another", "", selfsigned.SelfSignedIssuerStatus{}
			return c.Create(ctx, issuer)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newIssuerFixture(t, issuerReadyFor(1), accepted)
			var issuer selfsigned.SelfSignedIssuer
			if err := f.client.Get(t.Context(), issuerKey, &issuer); err != nil {
				t.Fatal(err)
			}
			behind := issuer.DeepCopy()
			if err := change(t.Context(), f.client, &issuer); err != nil {
				t.Fatal(err)
			}
			before := f.ready(t)
			server := f.reconciler.library.Client
			f.reconciler.library.Client = interceptor.NewClient(server.(client.WithWatch), interceptor.Funcs{
				Get: func(_ context.Context, _ client.WithWatch, _ client.ObjectKey, object client.Object, _ ...client.GetOption) error {
					behind.DeepCopyInto(object.(*selfsigned.SelfSignedIssuer))
					return nil
				},
			})
			for i, factor := range []int{1, 2, 4, 8, 16, 32, 64, 100, 100} {
				want := time.Duration(factor) * conflictBaseDelay
				for range 2 { // the second one is triggered too early and writes nothing
					if result, err := f.reconcile(); err != nil || result.RequeueAfter != want {
						t.Fatalf("conflict %d: got %+v, %v; want another attempt after %s, without an error", i, result, err, want)
					}
				}
				f.clock.Step(want)
			}
			if *f.writes != 9 || f.ready(t) != before {
				t.Errorf("%d writes, want 9; Ready is %+v, was %+v", *f.writes, f.ready(t), before)
			}
			f.checkAnnounced(t, 0)

			f.reconciler.library.Client = server // the cache has caught up
			for range 2 {
				if result, err := f.reconcile(); err != nil || result != (ctrl.Result{}) {
					t.Fatalf("got %+v, %v", result, err)
				}
			}
			if got := f.ready(t); got.Status != metav1.ConditionTrue || got.ObservedGeneration != 2 {
				t.Errorf("in the end Ready is %+v", got)
			}
			f.checkAnnounced(t, 1)
		})
	}
}

// TestIssuerIsAnnouncedOnceWritten: a status is reported once after it is written, also if the
// response was lost, and not if the API server refuses it.
func TestIssuerIsAnnouncedOnceWritten(t *testing.T) {
	t.Parallel()
	forbidden := apierrors.NewForbidden(schema.GroupResource{Resource: "selfsignedissuers"}, "issuer", errors.New("no"))
	for name, refusal := range map[string]struct {
		stored bool
		err    error
	}{
		"refused":     {false, forbidden},
		"answer lost": {true, syscall.ECONNRESET},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newIssuerFixture(t, issuerReadyFor(1), func(attempt int) (bool, error) {
				if attempt == 1 {
					return refusal.stored, refusal.err
				}
				return true, nil
			})
			if _, err := f.reconcile(); !errors.Is(err, refusal.err) {
				t.Errorf("got %v, want the failure, so that it is retried with backoff", err)
			}
			f.checkAnnounced(t, 0)
			for range 3 {
				if _, err := f.reconcile(); err != nil {
					t.Fatal(err)
				}
				f.checkAnnounced(t, 1)
			}
			if want := map[bool]int{true: 1, false: 2}[refusal.stored]; *f.writes != want {
				t.Errorf("%d writes, want %d", *f.writes, want)
			}
		})
	}
}

// TestInvalidIssuerIsWrittenInTheEnd: the error of the check is permanent, the error of the write is
// retried.
func TestInvalidIssuerIsWrittenInTheEnd(t *testing.T) {
	t.Parallel()
	issuer := issuerReadyFor(2)
	issuer.Spec.CRLDistributionPoints = []string{"ftp://example.com/crl"}
	f := newIssuerFixture(t, issuer, func(attempt int) (bool, error) {
		if attempt == 1 {
			return false, apierrors.NewTooManyRequests("slow down", 1)
		}
		return true, nil
	})
	if _, err := f.reconcile(); !apierrors.IsTooManyRequests(err) || errors.Is(err, reconcile.TerminalError(nil)) {
		t.Errorf("got %v: want the failure of the write only, which is retried", err)
	}
	if _, err := f.reconcile(); !errors.Is(err, reconcile.TerminalError(nil)) {
		t.Errorf("got %v: want the error of the check", err)
	}
	if got := f.ready(t); got.Status != metav1.ConditionFalse || got.Reason != libapi.IssuerConditionReasonFailed {
		t.Errorf("an invalid issuer has %+v", got)
	}
	if sent := len(f.recorder.Events); sent != 1 {
		t.Errorf("%d events, want one", sent)
	}
}

// TestIssuerIsGone: an issuer that is deleted while its status is written is not reported.
func TestIssuerIsGone(t *testing.T) {
	t.Parallel()
	gone := apierrors.NewNotFound(schema.GroupResource{Resource: "selfsignedissuers"}, "issuer")
	f := newIssuerFixture(t, issuerReadyFor(1), func(int) (bool, error) { return false, gone })
	if result, err := f.reconcile(); err != nil || result.RequeueAfter != conflictBaseDelay {
		t.Errorf("got %+v, %v: want another look after %s", result, err, conflictBaseDelay)
	}
	f.checkAnnounced(t, 0)
	if err := f.client.Delete(t.Context(), issuerReadyFor(1)); err != nil {
		t.Fatal(err)
	}
	if result, err := f.reconcile(); err != nil || result != (ctrl.Result{}) {
		t.Errorf("after its deletion: %+v, %v", result, err)
	}
	if len(f.reconciler.conflicts.byKey) > 0 {
		t.Error("a deleted issuer is remembered")
	}
}
