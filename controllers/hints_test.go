// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"testing"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/workqueue"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/event"

	selfsigned "github.com/cert-manager/selfsigned-issuer/api/v1alpha1"
	"github.com/cert-manager/selfsigned-issuer/controllers/internal/outcome"
	"github.com/cert-manager/selfsigned-issuer/controllers/internal/request"
	"github.com/cert-manager/selfsigned-issuer/controllers/internal/testsupport"
)

var hintTime = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// newHinter has a cache with one object, after the cache's transform.
func newHinter(t *testing.T, kind request.Kind, object client.Object) (*hinter, *events.FakeRecorder) {
	t.Helper()
	recorder := events.NewFakeRecorder(10)
	return &hinter{
		kind:     kind,
		cache:    fake.NewClientBuilder().WithScheme(Scheme()).WithObjects(strip(t, object)).Build(),
		recorder: recorder,
		clock:    clocktesting.NewFakePassiveClock(hintTime),
	}, recorder
}

// hintableRequest returns a request of the given age that is not approved or denied.
func hintableRequest(age time.Duration, issuerKind string) *cmapi.CertificateRequest {
	return &cmapi.CertificateRequest{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: requestKey.Namespace, Name: requestKey.Name, UID: "the-uid", CreationTimestamp: metav1.NewTime(hintTime.Add(-age)),
		},
		Spec: cmapi.CertificateRequestSpec{IssuerRef: cmmeta.IssuerReference{Group: selfsigned.GroupName, Kind: issuerKind, Name: "issuer"}},
	}
}

func hintableCSR(signer string) *certificatesv1.CertificateSigningRequest {
	return &certificatesv1.CertificateSigningRequest{
		ObjectMeta: metav1.ObjectMeta{Name: "csr", CreationTimestamp: metav1.NewTime(hintTime.Add(-time.Minute))},
		Spec:       certificatesv1.CertificateSigningRequestSpec{SignerName: signer},
	}
}

// eventAbout returns the event of a hint. TestGeneratedMessages has the texts.
func eventAbout(h outcome.Hint, facts outcome.Args) string {
	facts["delay"], facts["group"] = "30s", "selfsigned.cert-manager.io"
	return h.EventType + " " + string(h.Reason) + " " + facts.Render(h.Message)
}

// TestHints compares the events of requests. If a hint is not due yet, the request is reconciled
// again.
func TestHints(t *testing.T) {
	t.Parallel()
	condition := func(conditionType cmapi.CertificateRequestConditionType, reason string) func(*cmapi.CertificateRequest) {
		return func(r *cmapi.CertificateRequest) {
			r.Status.Conditions = []cmapi.CertificateRequestCondition{{Type: conditionType, Status: cmmeta.ConditionTrue, Reason: reason}}
		}
	}
	notApproved := func(signer string) string {
		return eventAbout(outcome.ApprovalHint, outcome.Args{"signer": signer + ".selfsigned.cert-manager.io", "namespace": "sandbox", "name": "request"})
	}
	unknown := func(kind string) string { return eventAbout(outcome.KindHint, outcome.Args{"kind": kind}) }
	for name, test := range map[string]struct {
		age     time.Duration
		kind    string
		change  func(*cmapi.CertificateRequest)
		event   string
		requeue time.Duration
	}{
		"not approved":                  {age: 30 * time.Second, kind: request.IssuerKind, event: notApproved("selfsignedissuers")},
		"not approved, cluster issuer":  {age: time.Hour, kind: request.ClusterIssuerKind, event: notApproved("clusterselfsignedissuers")},
		"not approved yet":              {age: 10 * time.Second, kind: request.IssuerKind, requeue: 20 * time.Second},
		"clock of the API server ahead": {age: -time.Hour, kind: request.IssuerKind, requeue: 30 * time.Second},
		"old":                           {age: 25 * time.Hour, kind: request.IssuerKind},
		"approved":                      {age: time.Hour, kind: request.IssuerKind, change: condition("Approved", "")},
		"denied":                        {age: time.Hour, kind: request.IssuerKind, change: condition("Denied", "")},
		"issued":                        {age: time.Hour, kind: request.IssuerKind, change: condition("Ready", "Issued")},

		"kind of cert-manager":             {kind: "Issuer", event: unknown("Issuer")},
		"kind forgotten":                   {kind: "", event: unknown("")},
		"kind with a wrong letter":         {kind: "SelfsignedIssuer", event: unknown("SelfsignedIssuer")},
		"kind in lower case":               {kind: "clusterselfsignedissuer", event: unknown("clusterselfsignedissuer")},
		"kind in the plural":               {kind: "selfsignedissuers", age: time.Hour, event: unknown("selfsignedissuers")},
		"unknown kind, approved":           {kind: "Issuer", change: condition("Approved", ""), event: unknown("Issuer")},
		"unknown kind, denied":             {kind: "Issuer", change: condition("Denied", "")},
		"unknown kind, issued by somebody": {kind: "Issuer", change: condition("Ready", "Issued")},
		"unknown kind, old":                {kind: "Issuer", age: 25 * time.Hour},
		"another group": {kind: "Issuer", age: time.Hour, change: func(r *cmapi.CertificateRequest) {
			r.Spec.IssuerRef.Group = "awspca.cert-manager.io"
		}},
		"cert-manager's group": {kind: request.IssuerKind, age: time.Hour, change: func(r *cmapi.CertificateRequest) {
			r.Spec.IssuerRef.Group = ""
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			object := hintableRequest(test.age, test.kind)
			if test.change != nil {
				test.change(object)
			}
			checkHint(t, request.CertificateRequests(), object, test.event, test.requeue)
		})
	}
}

// TestHintsAboutCSRs: malformed signer names below our domain, and a missing approval.
func TestHintsAboutCSRs(t *testing.T) {
	t.Parallel()
	invalid := func(name string) string { return eventAbout(outcome.SignerNameHint, outcome.Args{"signer": name}) }
	notApproved := eventAbout(outcome.CSRApprovalHint, outcome.Args{"name": "csr"})
	for signer, want := range map[string]string{
		"selfsignedissuers.selfsigned.cert-manager.io/issuer":         invalid("selfsignedissuers.selfsigned.cert-manager.io/issuer"),
		"selfsignedissuers.selfsigned.cert-manager.io/.issuer":        invalid("selfsignedissuers.selfsigned.cert-manager.io/.issuer"),
		"selfsignedissuer.selfsigned.cert-manager.io/sandbox.issuer":  invalid("selfsignedissuer.selfsigned.cert-manager.io/sandbox.issuer"),
		"selfsignedissuers.selfsigned.cert-manager.io/sandbox.issuer": notApproved,
		"clusterselfsignedissuers.selfsigned.cert-manager.io/issuer":  notApproved,
		"issuers.cert-manager.io/sandbox.issuer":                      "",
		"kubernetes.io/kubelet-serving":                               "",
		"example.com/selfsigned.cert-manager.io":                      "",
	} {
		t.Run(signer, func(t *testing.T) {
			t.Parallel()
			checkHint(t, request.CertificateSigningRequests("cert-manager", request.AccessReviewer{}), hintableCSR(signer), want, 0)
		})
	}
}

func checkHint(t *testing.T, kind request.Kind, object client.Object, want string, requeue time.Duration) {
	t.Helper()
	h, recorder := newHinter(t, kind, object)
	result, err := h.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(object)})
	if err != nil || result != (ctrl.Result{RequeueAfter: requeue}) {
		t.Errorf("got %+v, %v: want to look again after %s", result, err, requeue)
	}
	got := ""
	if len(recorder.Events) > 0 {
		got = <-recorder.Events
	}
	if got != want || len(recorder.Events) > 0 {
		t.Errorf("%d further events beside\n got %s\nwant %s", len(recorder.Events), got, want)
	}
}

// delayedQueue records what is added, with the delay.
type delayedQueue struct {
	workqueue.TypedRateLimitingInterface[ctrl.Request]
	added []time.Duration
}

func (q *delayedQueue) AddAfter(_ ctrl.Request, delay time.Duration) {
	q.added = append(q.added, delay)
}

// TestHintsAreDueOnce: a request is enqueued once, also if it is updated. A request that needs no
// hint is not enqueued.
func TestHintsAreDueOnce(t *testing.T) {
	t.Parallel()
	h, _ := newHinter(t, request.CertificateRequests(), hintableRequest(0, request.IssuerKind))
	queue, handler := &delayedQueue{}, h.whenCreated()
	check := func(what string, want ...time.Duration) {
		t.Helper()
		if len(queue.added) != len(want) || (len(want) > 0 && queue.added[0] != want[0]) {
			t.Errorf("%s: enqueued after %v, want %v", what, queue.added, want)
		}
		queue.added = nil
	}
	create := func(request *cmapi.CertificateRequest) {
		handler.Create(t.Context(), event.CreateEvent{Object: request}, queue)
	}
	create(hintableRequest(0, request.IssuerKind))
	check("a new request", 30*time.Second)
	create(hintableRequest(time.Hour, request.IssuerKind))
	check("an older request after a restart", 0)
	create(hintableRequest(0, "Issuer"))
	check("a request of an unknown kind", 0)
	create(testsupport.PendingRequest("approved"))
	check("an approved request")
	create(hintableRequest(25*time.Hour, request.IssuerKind))
	check("a request of yesterday")

	before, after := hintableRequest(time.Minute, request.IssuerKind), hintableRequest(time.Minute, request.IssuerKind)
	after.Annotations = map[string]string{"edited": "true"}
	handler.Update(t.Context(), event.UpdateEvent{ObjectOld: before, ObjectNew: after}, queue)
	check("an update")
	after.UID = "another"
	handler.Update(t.Context(), event.UpdateEvent{ObjectOld: before, ObjectNew: after}, queue)
	check("a successor of the same name", 0)
	handler.Delete(t.Context(), event.DeleteEvent{Object: after}, queue)
	check("a deletion")
}

func TestHintAboutADeletedRequest(t *testing.T) {
	t.Parallel()
	h, recorder := newHinter(t, request.CertificateRequests(), hintableRequest(time.Minute, request.IssuerKind))
	result, err := h.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKey{Namespace: "sandbox", Name: "gone"}})
	if err != nil || result != (ctrl.Result{}) || len(recorder.Events) > 0 {
		t.Errorf("got %+v, %v and %d events, want nothing", result, err, len(recorder.Events))
	}
}
