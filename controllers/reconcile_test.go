// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"

	cmutil "github.com/cert-manager/cert-manager/pkg/api/util"
	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	"github.com/go-logr/logr/funcr"
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/log"

	selfsigned "github.com/cert-manager/selfsigned-issuer/api/v1alpha1"
	"github.com/cert-manager/selfsigned-issuer/controllers/internal/metrics"
	"github.com/cert-manager/selfsigned-issuer/controllers/internal/outcome"
	"github.com/cert-manager/selfsigned-issuer/controllers/internal/request"
	"github.com/cert-manager/selfsigned-issuer/controllers/internal/testsupport"
)

// The end-to-end tests use a real API server. The tests here have failures that it cannot cause on
// demand: an outage of years, or a change of an object during a reconcile.

var requestKey = client.ObjectKey{Namespace: "sandbox", Name: "request"}

type fixture struct {
	reconciler *requestReconciler
	client     client.Client
	recorder   *events.FakeRecorder
}

// newFixture has an approved request, its key and a ready issuer, ten years after the creation of
// the request. The interceptor changes the behavior of the API server.
func newFixture(t *testing.T, intercepted interceptor.Funcs) fixture {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if intercepted.SubResourcePatch == nil {
		intercepted.SubResourcePatch = applyStatus
	}
	now := time.Now()
	// With the whole Scheme, the fake client needs milliseconds for each write.
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, certificatesv1.AddToScheme, cmapi.AddToScheme, selfsigned.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	c := fake.NewClientBuilder().WithScheme(scheme).
		WithStatusSubresource(&cmapi.CertificateRequest{}).
		WithIndex(&cmapi.CertificateRequest{}, "metadata.name", func(o client.Object) []string { return []string{o.GetName()} }).
		WithObjects(testsupport.ApprovedRequest(t, key, now.AddDate(-10, 0, 0)), secretWith(t, key), testsupport.ReadyIssuer()).
		WithInterceptorFuncs(intercepted).
		Build()
	recorder := events.NewFakeRecorder(10)
	return fixture{client: c, recorder: recorder, reconciler: &requestReconciler{
		kind:             request.CertificateRequests(),
		client:           c,
		keys:             keyReader{live: c},
		issuers:          issuerReader{c},
		requests:         requestReader{c},
		slots:            newRequestSlots(newReadSlots(100)),
		recorder:         recorder,
		clock:            clocktesting.NewFakePassiveClock(now),
		gracePeriod:      time.Minute,
		tracker:          newPendingTracker(),
		finishedRequests: newFinishedRequests(),
		metrics:          metrics.New(),

		conflicts:   newConflicts(),
		unconfirmed: newUnconfirmed[unconfirmedEnd](),
	}}
}

// applyStatus is a server-side apply of a status. The fake client has no schema, and would treat the
// list of conditions as one value.
func applyStatus(ctx context.Context, c client.Client, _ string, object client.Object, patch client.Patch, _ ...client.SubResourcePatchOption) error {
	var applied struct {
		Status cmapi.CertificateRequestStatus
	}
	body, err := patch.Data(object)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, &applied); err != nil {
		return err
	}
	var request cmapi.CertificateRequest
	if err := c.Get(ctx, client.ObjectKeyFromObject(object), &request); err != nil {
		return err
	}
	for _, condition := range request.Status.Conditions {
		if condition.Type != cmapi.CertificateRequestConditionReady {
			applied.Status.Conditions = append(applied.Status.Conditions, condition)
		}
	}
	request.Status = applied.Status
	return c.Status().Update(ctx, &request)
}

// countSecretReads intercepts reads of Secrets and counts them.
func countSecretReads(reads *int) func(context.Context, client.WithWatch, client.ObjectKey, client.Object, ...client.GetOption) error {
	return func(ctx context.Context, c client.WithWatch, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
		if _, isSecret := object.(*corev1.Secret); isSecret {
			*reads++
		}
		return c.Get(ctx, key, object, options...)
	}
}

func secretWith(t *testing.T, key crypto.Signer) *corev1.Secret {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: requestKey.Namespace, Name: "key"},
		Data:       map[string][]byte{"tls.key": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})},
	}
}

func (f fixture) reconcile() (ctrl.Result, error) {
	return f.reconciler.Reconcile(context.Background(), ctrl.Request{NamespacedName: requestKey})
}

func (f fixture) request(t *testing.T) *cmapi.CertificateRequest {
	t.Helper()
	var request cmapi.CertificateRequest
	if err := f.client.Get(t.Context(), requestKey, &request); err != nil {
		t.Fatal(err)
	}
	return &request
}

func (f fixture) ready(t *testing.T) cmapi.CertificateRequestCondition {
	t.Helper()
	if ready := cmutil.GetCertificateRequestCondition(f.request(t), cmapi.CertificateRequestConditionReady); ready != nil {
		return *ready
	}
	return cmapi.CertificateRequestCondition{}
}

func TestTransientFailuresNeverFailARequest(t *testing.T) {
	t.Parallel()
	secrets := schema.GroupResource{Resource: "secrets"}
	for name, failure := range map[string]error{
		"429":     apierrors.NewTooManyRequests("slow down", 1),
		"500":     apierrors.NewInternalError(errors.New("etcd is away")),
		"503":     apierrors.NewServiceUnavailable("not now"),
		"timeout": apierrors.NewTimeoutError("too slow", 1),
		"network": syscall.ECONNRESET,
		"409":     apierrors.NewConflict(secrets, "key", errors.New("changed")),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			failing := true
			f := newFixture(t, interceptor.Funcs{
				Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
					if _, isSecret := object.(*corev1.Secret); isSecret && failing {
						return failure
					}
					return c.Get(ctx, key, object, options...)
				},
			})
			for range 3 {
				if _, err := f.reconcile(); !errors.Is(err, failure) {
					t.Fatalf("reconcile returned %v: want the failure, so that it is retried with backoff", err)
				}
			}
			want := outcome.Args{"secret": "sandbox/key", "detail": failure.Error()}.Message(outcome.ReasonSecretReadError)
			if got := f.ready(t); got.Reason != cmapi.CertificateRequestReasonPending || got.Message != want {
				t.Errorf("\n got %s: %s\nwant Pending: %s", got.Reason, got.Message, want)
			}
			failing = false
			if _, err := f.reconcile(); err != nil {
				t.Fatal(err)
			}
			if got := f.ready(t); got.Status != cmmeta.ConditionTrue {
				t.Errorf("after the failure: %+v", got)
			}
			if sent := len(f.recorder.Events); sent != 2 {
				t.Errorf("%d events were sent, want one for the wait and one for the certificate", sent)
			}
		})
	}
}

// TestConflictIsReadAgain: a write with another UID or version than the current one causes no error
// and no event. While the cache has the same version, it is retried with backoff.
func TestConflictIsReadAgain(t *testing.T) {
	t.Parallel()
	var written metav1.PartialObjectMetadata
	var reads, writes int
	f := newFixture(t, interceptor.Funcs{
		Get: countSecretReads(&reads),
		SubResourcePatch: func(ctx context.Context, c client.Client, resource string, object client.Object, patch client.Patch, options ...client.SubResourcePatchOption) error {
			writes++
			body, err := patch.Data(object)
			if err != nil {
				return err
			}
			if err := json.Unmarshal(body, &written); err != nil {
				return err
			}
			if writes > 9 {
				return applyStatus(ctx, c, resource, object, patch, options...)
			}
			return apierrors.NewConflict(schema.GroupResource{Resource: "certificaterequests"}, object.GetName(), errors.New("changed"))
		},
	})
	clock := clocktesting.NewFakeClock(time.Now())
	f.reconciler.conflicts.clock = clock
	request := f.request(t)
	for i, factor := range []int{1, 2, 4, 8, 16, 32, 64, 100} {
		want := time.Duration(factor) * conflictBaseDelay
		for range 2 { // the second one is triggered too early
			if result, err := f.reconcile(); err != nil || result.RequeueAfter != want {
				t.Fatalf("conflict %d: got %+v, %v; want to be called again after %s, without an error", i, result, err, want)
			}
			want /= 2
			clock.Step(want)
		}
		if reads != i+1 || writes != i+1 {
			t.Fatalf("conflict %d: %d reads of the Secret and %d writes, want one each", i, reads, writes)
		}
		clock.Step(want)
	}
	if written.UID != request.UID || written.ResourceVersion != request.ResourceVersion {
		t.Errorf("the write is for %+v: want UID %s and version %s", written.ObjectMeta, request.UID, request.ResourceVersion)
	}
	if len(f.recorder.Events) > 0 {
		t.Errorf("event %s was sent", <-f.recorder.Events)
	}

	// With the new version in the cache, the request is signed at once, and the backoff is reset.
	request.Labels = map[string]string{"edited": "true"}
	if err := f.client.Update(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	if result, err := f.reconcile(); err != nil || result.RequeueAfter != conflictMaxDelay || writes != 9 {
		t.Errorf("another conflict: %+v, %v, %d writes", result, err, writes)
	}
	clock.Step(conflictMaxDelay)
	if _, err := f.reconcile(); err != nil || f.ready(t).Status != cmmeta.ConditionTrue {
		t.Errorf("in the end: %v, %+v", err, f.ready(t))
	}
	if len(f.reconciler.conflicts.byKey) > 0 {
		t.Error("the conflicts of a finished request are remembered")
	}
}

// TestNotFoundIsNoSuccess: the API server returns NotFound for the status write. Nothing is reported
// or counted, and the request is not finished. If it still exists, it is signed later. If it is
// deleted, its state is dropped.
func TestNotFoundIsNoSuccess(t *testing.T) {
	t.Parallel()
	for name, gone := range map[string]bool{"deleted meanwhile": true, "not served for a while": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			missing := true
			f := newFixture(t, interceptor.Funcs{
				SubResourcePatch: func(ctx context.Context, c client.Client, resource string, object client.Object, patch client.Patch, options ...client.SubResourcePatchOption) error {
					if missing {
						return apierrors.NewNotFound(schema.GroupResource{Resource: "certificaterequests"}, object.GetName())
					}
					return applyStatus(ctx, c, resource, object, patch, options...)
				},
			})
			clock := clocktesting.NewFakeClock(time.Now())
			f.reconciler.conflicts.clock = clock
			result, err := f.reconcile()
			if err != nil || result.RequeueAfter != conflictBaseDelay {
				t.Errorf("got %+v, %v: want another look after %s", result, err, conflictBaseDelay)
			}
			if len(f.recorder.Events) > 0 {
				t.Errorf("%d events for what was not written", len(f.recorder.Events))
			}
			if text := testsupport.Scrape(t, f.reconciler.metrics); strings.Contains(text, `reason="CertificateIssued",result="issued"} 1`) {
				t.Error("what was not written is counted")
			}
			missing = false
			clock.Step(result.RequeueAfter)
			if gone {
				if err := f.client.Delete(t.Context(), f.request(t)); err != nil {
					t.Fatal(err)
				}
			}
			if result, err := f.reconcile(); err != nil || result.RequeueAfter != 0 {
				t.Errorf("another look: %+v, %v", result, err)
			}
			if !gone && (f.ready(t).Status != cmmeta.ConditionTrue || len(f.recorder.Events) != 1) {
				t.Errorf("%d events, %+v; want one, and a certificate", len(f.recorder.Events), f.ready(t))
			}
			if len(f.reconciler.tracker.byID) > 0 || len(f.reconciler.conflicts.byKey) > 0 {
				t.Error("a request that is finished or gone is remembered")
			}
		})
	}
}

// TestNotFoundForHours: a request that stays in the cache and cannot be written is not an error. It
// is retried with backoff, and logged once.
func TestNotFoundForHours(t *testing.T) {
	t.Parallel()
	missing := true
	f := newFixture(t, interceptor.Funcs{
		SubResourcePatch: func(ctx context.Context, c client.Client, resource string, object client.Object, patch client.Patch, options ...client.SubResourcePatchOption) error {
			if missing {
				return apierrors.NewNotFound(schema.GroupResource{Resource: "certificaterequests"}, "request")
			}
			return applyStatus(ctx, c, resource, object, patch, options...)
		},
	})
	start := time.Now()
	clock := clocktesting.NewFakeClock(start)
	f.reconciler.conflicts.clock = clock
	var lines []string
	ctx := log.IntoContext(t.Context(), funcr.New(func(_, line string) { lines = append(lines, line) }, funcr.Options{}))
	var attempts int
	for ; clock.Since(start) < time.Hour; attempts++ {
		result, err := f.reconciler.Reconcile(ctx, ctrl.Request{NamespacedName: requestKey})
		if err != nil || result.RequeueAfter <= 0 || result.RequeueAfter > 5*time.Minute {
			t.Fatalf("attempt %d: %+v, %v; want another one within 5m, without an error", attempts, result, err)
		}
		clock.Step(result.RequeueAfter)
	}
	if attempts > 25 {
		t.Errorf("%d attempts in an hour, want 25 at most", attempts)
	}
	if len(lines) != 1 || !strings.Contains(lines[0], "The API server does not find an object that is in the cache") {
		t.Errorf("want one line in the log, got\n%s", strings.Join(lines, "\n"))
	}
	missing = false
	if result, err := f.reconcile(); err != nil || result.RequeueAfter != 0 || f.ready(t).Status != cmmeta.ConditionTrue {
		t.Errorf("in the end: %+v, %v, %+v", result, err, f.ready(t))
	}
}

// TestStopping: a write in flight is completed when selfsigned-issuer stops, and no new reconcile
// starts.
func TestStopping(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	f := newFixture(t, interceptor.Funcs{
		SubResourcePatch: func(ctx context.Context, c client.Client, subResource string, object client.Object, patch client.Patch, options ...client.SubResourcePatchOption) error {
			stop()
			if err := ctx.Err(); err != nil {
				return err
			}
			return applyStatus(ctx, c, subResource, object, patch, options...)
		},
	})
	if _, err := f.reconciler.Reconcile(ctx, ctrl.Request{NamespacedName: requestKey}); err != nil {
		t.Error(err)
	}
	if got := f.ready(t); got.Status != cmmeta.ConditionTrue {
		t.Errorf("the request in flight is %q: %s", got.Reason, got.Message)
	}

	f = newFixture(t, interceptor.Funcs{})
	if _, err := f.reconciler.Reconcile(ctx, ctrl.Request{NamespacedName: requestKey}); err != nil {
		t.Error(err)
	}
	if got := f.ready(t); got.Reason != "" {
		t.Errorf("after the signal to stop a request became %q", got.Reason)
	}
}

func TestMessagesStayReadable(t *testing.T) {
	t.Parallel()
	message := outcome.Args{"detail": "100%d\n\x00\xff {kind} " + strings.Repeat("ä", 400), "kind": "X"}.Message(outcome.ReasonInvalidRequest)
	if strings.ContainsAny(message, "\n\x00") || !strings.Contains(message, "100%d") {
		t.Errorf("message %q", message)
	}
	if !strings.Contains(message, "{kind}") {
		t.Error("a fact was filled in turn")
	}
	if len(message) > 1024 {
		t.Errorf("the message has %d bytes, more than an event may have", len(message))
	}
	if got := outcome.Truncate(strings.Repeat("ä", 10), 8); got != "ää…" {
		t.Errorf("truncated to %q", got)
	}
}

func TestWaitsForgetsAndStartsAnew(t *testing.T) {
	t.Parallel()
	w, start := newPendingTracker(), time.Now()
	for _, look := range []struct {
		uid, secret types.UID
		at, since   time.Duration // from the start
	}{
		{"one", "a", 0, 0},
		{"one", "a", time.Hour, 0},
		{"one", "a", 3 * time.Hour, 3 * time.Hour}, // after a pause of two hours
		{"one", "a", 4 * time.Hour, 3 * time.Hour},
		{"one", "b", 5 * time.Hour, 5 * time.Hour}, // the Secret was created again
		{"one", "b", 6 * time.Hour, 5 * time.Hour},
		{"two", "b", 6 * time.Hour, 6 * time.Hour}, // a successor of the same name
	} {
		clock := clocktesting.NewFakePassiveClock(start.Add(look.at))
		if got, want := w.mismatchedFor(requestKey, look.uid, look.secret, clock, time.Hour), look.at-look.since; got != want {
			t.Errorf("%s after %s: a mismatch for %s, want %s", look.uid, look.at, got, want)
		}
	}
	if !w.markReported(requestKey, "two", outcome.ReasonSecretNotFound) || w.markReported(requestKey, "two", outcome.ReasonSecretNotFound) {
		t.Error("want news the first time only")
	}
	w.forget(requestKey)
	if len(w.byID) > 0 {
		t.Error("a forgotten request is still there")
	}
}

// TestMismatchMustLast: a request only fails if each reconcile in the grace period found a key that
// does not match.
func TestMismatchMustLast(t *testing.T) {
	t.Parallel()
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	wrong := secretWith(t, other).Data
	for name, between := range map[string]struct {
		secret map[string][]byte // nil: deleted
		issuer metav1.ConditionStatus
	}{
		"deleted":          {nil, metav1.ConditionTrue},
		"empty":            {map[string][]byte{"other": nil}, metav1.ConditionTrue},
		"unusable":         {map[string][]byte{"tls.key": []byte("junk")}, metav1.ConditionTrue},
		"issuer not ready": {wrong, metav1.ConditionFalse},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, interceptor.Funcs{})
			start := time.Now()
			look := func(after time.Duration, secret map[string][]byte, issuer metav1.ConditionStatus) cmapi.CertificateRequestCondition {
				f.reconciler.clock = clocktesting.NewFakePassiveClock(start.Add(after))
				f.setSecret(t, secret)
				f.setIssuer(t, issuer)
				if _, err := f.reconcile(); err != nil {
					t.Fatal(err)
				}
				return f.ready(t)
			}
			look(0, wrong, metav1.ConditionTrue)
			look(time.Second, between.secret, between.issuer)
			for _, after := range []time.Duration{10 * time.Minute, 10*time.Minute + 59*time.Second} {
				if got := look(after, wrong, metav1.ConditionTrue); got.Reason != cmapi.CertificateRequestReasonPending {
					t.Fatalf("after %s, the last minute of which the mismatch has not lasted: %s: %s", after, got.Reason, got.Message)
				}
			}
			if got := look(11*time.Minute, wrong, metav1.ConditionTrue); got.Reason != cmapi.CertificateRequestReasonFailed {
				t.Errorf("after a mismatch of a minute: %s: %s", got.Reason, got.Message)
			}
		})
	}
}

// TestMismatchInAnotherSecret: a Secret that is created again was missing in between, however
// short that was.
func TestMismatchInAnotherSecret(t *testing.T) {
	t.Parallel()
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	f := newFixture(t, interceptor.Funcs{})
	start := time.Now()
	for _, look := range []struct {
		after  time.Duration
		secret types.UID
		want   string
	}{
		{0, "first", cmapi.CertificateRequestReasonPending},
		{30 * time.Second, "first", cmapi.CertificateRequestReasonPending},
		{60 * time.Second, "second", cmapi.CertificateRequestReasonPending},
		{119 * time.Second, "second", cmapi.CertificateRequestReasonPending},
		{120 * time.Second, "second", cmapi.CertificateRequestReasonFailed},
	} {
		f.reconciler.clock = clocktesting.NewFakePassiveClock(start.Add(look.after))
		f.setSecret(t, nil)
		secret := secretWith(t, other)
		secret.UID = look.secret
		if err := f.client.Create(t.Context(), secret); err != nil {
			t.Fatal(err)
		}
		if _, err := f.reconcile(); err != nil {
			t.Fatal(err)
		}
		if got := f.ready(t); got.Reason != look.want {
			t.Fatalf("after %s: %s: %s, want %s", look.after, got.Reason, got.Message, look.want)
		}
	}
}

// setSecret replaces the data of the key's Secret; nil deletes it.
func (f fixture) setSecret(t *testing.T, data map[string][]byte) {
	t.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: requestKey.Namespace, Name: "key"}, Data: data}
	if err := client.IgnoreNotFound(f.client.Delete(t.Context(), secret)); err != nil {
		t.Fatal(err)
	}
	if data == nil {
		return
	}
	if err := f.client.Create(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
}

// setIssuer sets the status of the issuer's Ready condition.
func (f fixture) setIssuer(t *testing.T, ready metav1.ConditionStatus) {
	t.Helper()
	var issuer selfsigned.SelfSignedIssuer
	if err := f.client.Get(t.Context(), issuerKey, &issuer); err != nil {
		t.Fatal(err)
	}
	issuer.Status.Conditions[0].Status = ready
	if err := f.client.Update(t.Context(), &issuer); err != nil {
		t.Fatal(err)
	}
}

// TestStaleCacheCostsNothing: a request that was signed, and that is still pending in the cache, is
// not read or written again.
func TestStaleCacheCostsNothing(t *testing.T) {
	t.Parallel()
	var reads, writes int
	f := newFixture(t, interceptor.Funcs{
		Get: countSecretReads(&reads),
		// Accepted, but not in the cache yet.
		SubResourcePatch: func(context.Context, client.Client, string, client.Object, client.Patch, ...client.SubResourcePatchOption) error {
			writes++
			return nil
		},
	})
	for range 3 {
		if result, err := f.reconcile(); err != nil || result.RequeueAfter != 0 {
			t.Fatalf("got %+v, %v", result, err)
		}
	}
	if reads != 1 || writes != 1 || len(f.recorder.Events) != 1 {
		t.Errorf("%d reads of the Secret, %d writes, %d events; want one each", reads, writes, len(f.recorder.Events))
	}
	// A write by another client is a new version.
	var request cmapi.CertificateRequest
	if err := f.client.Get(t.Context(), requestKey, &request); err != nil {
		t.Fatal(err)
	}
	request.Labels = map[string]string{"edited": "true"}
	if err := f.client.Update(t.Context(), &request); err != nil {
		t.Fatal(err)
	}
	if _, err := f.reconcile(); err != nil || writes != 2 {
		t.Errorf("after a change: %d writes, %v; want a second one", writes, err)
	}
}

// TestOwnWriteThatTheCacheLacks: the response to a write was lost, and the next reconcile has the
// version before it, whose message is correct again. When the cache has the write, it is an own
// write, which triggers no reconcile.
func TestOwnWriteThatTheCacheLacks(t *testing.T) {
	t.Parallel()
	f := newFixture(t, interceptor.Funcs{})
	f.setSecret(t, map[string][]byte{})
	if result, err := f.reconcile(); err != nil || result.RequeueAfter != 0 {
		t.Fatalf("the first look: %+v, %v: want a wait for the Secret", result, err)
	}
	f.reconciler.tracker.recordMessage(requestKey, "the-uid", "Waiting for the API server.")
	if result, err := f.reconcile(); err != nil || result.RequeueAfter != foreignDelay {
		t.Errorf("beside a write of its own that it does not see: %+v, %v: want another look after %s", result, err, foreignDelay)
	}
	if result, err := f.reconcile(); err != nil || result.RequeueAfter != 0 {
		t.Errorf("another look: %+v, %v: want a wait for the Secret, and no polling", result, err)
	}
}
