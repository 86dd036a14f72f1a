// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	certificatesv1 "k8s.io/api/certificates/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	selfsigned "github.com/cert-manager/selfsigned-issuer/api/v1alpha1"
)

// measured returns the metrics of a leader with many states of requests and issuers.
func measured(t *testing.T) (*metrics, client.Client) {
	t.Helper()
	kinds := []requestKind{certificateRequests(), certificateSigningRequests("cert-manager", accessReviewer{})}
	builder := fake.NewClientBuilder().WithScheme(Scheme()).WithObjects(
		requestAt("approved-late", 1600, cmapi.CertificateRequestConditionApproved),
		requestAt("approved-early", 1500, cmapi.CertificateRequestConditionApproved),
		requestAt("just-approved", 1700, cmapi.CertificateRequestConditionApproved),
		requestAt("not-approved", 1700, ""),
		requestAt("denied", 1800, cmapi.CertificateRequestConditionDenied),
		requestAt("finished", 1400, cmapi.CertificateRequestConditionReady),
		withoutOwner(requestAt("restored", 1500, cmapi.CertificateRequestConditionApproved), 1000, true),
		withoutOwner(requestAt("restored-not-approved", 1500, ""), 1450, true),
		withoutOwner(requestAt("by-hand", 1700, cmapi.CertificateRequestConditionApproved), 1000, false),
		withoutOwner(requestAt("by-hand-old", 1500, cmapi.CertificateRequestConditionApproved), -90000, false),
		csrAt(1650),
		issuerAt("good", 1, 1), issuerAt("changed", 2, 1), issuerAt("good-as-well", 3, 3),
	)
	for _, kind := range kinds {
		builder = builder.WithIndex(kind.newObject(), byUnfinished, kind.unfinished)
	}
	elected := make(chan struct{})
	close(elected)
	g := &gauges{elected: elected, clock: clocktesting.NewFakePassiveClock(time.Unix(2000, 0)), kinds: kinds, issuers: []string{issuerKind, clusterIssuerKind}}
	scope := &scopeGauges{cache: builder.Build(), tracker: newWaitsOf(kinds)}
	g.add(scope)
	for _, name := range []string{"approved-late", "approved-early"} {
		scope.tracker[kinds[0].name].markReported(types.NamespacedName{Namespace: "sandbox", Name: name}, types.UID(name), ReasonSecretNotFound)
	}
	scope.tracker[kinds[1].name].markReported(types.NamespacedName{Name: "csr"}, "csr", ReasonIssuerNotFound)

	m := newMetrics()
	m.starting("v1.2.3", func() time.Duration { return 1500 * time.Millisecond })
	m.started(g)
	m.ready.Set(1)
	m.served.WithLabelValues("sandbox").Set(1)
	m.ended(cmapi.CertificateRequestKind, &decision{reason: ReasonIssued})
	m.ended(cmapi.CertificateRequestKind, &decision{reason: ReasonIssued})
	m.ended("CertificateSigningRequest", &decision{reason: ReasonReferenceDenied})
	m.signed(time.Now())
	m.eventsDropped.WithLabelValues(string(queueFull)).Inc()
	return m, scope.cache.(client.Client)
}

func newWaitsOf(kinds []requestKind) map[string]*pendingTracker {
	byKind := map[string]*pendingTracker{}
	for _, kind := range kinds {
		byKind[kind.name] = newPendingTracker()
	}
	return byKind
}

// withoutOwner returns a request as after a restore, or as a person creates it.
func withoutOwner(request *cmapi.CertificateRequest, created int64, ofCertificate bool) *cmapi.CertificateRequest {
	request.OwnerReferences, request.CreationTimestamp = nil, metav1.Unix(created, 0)
	if ofCertificate {
		request.Annotations = map[string]string{cmapi.CertificateNameKey: "certificate"}
	}
	return request
}

// requestAt returns a Certificate's request that was created at second 1000 and got its condition
// later.
func requestAt(name string, second int64, condition cmapi.CertificateRequestConditionType) *cmapi.CertificateRequest {
	request := &cmapi.CertificateRequest{
		ObjectMeta: metav1.ObjectMeta{Namespace: "sandbox", Name: name, UID: types.UID(name), CreationTimestamp: metav1.Unix(1000, 0), OwnerReferences: ownedBy("certificate")},
		Spec:       cmapi.CertificateRequestSpec{IssuerRef: cmmeta.IssuerReference{Group: selfsigned.GroupName, Kind: issuerKind, Name: "issuer"}},
	}
	if condition != "" {
		at := metav1.Unix(second, 0)
		request.Status.Conditions = []cmapi.CertificateRequestCondition{{Type: condition, Status: cmmeta.ConditionTrue, LastTransitionTime: &at}}
	}
	return request
}

func csrAt(second int64) *certificatesv1.CertificateSigningRequest {
	return &certificatesv1.CertificateSigningRequest{
		ObjectMeta: metav1.ObjectMeta{Name: "csr", UID: "csr", CreationTimestamp: metav1.Unix(1000, 0)},
		Spec:       certificatesv1.CertificateSigningRequestSpec{SignerName: "clusterselfsignedissuers." + selfsigned.GroupName + "/issuer"},
		Status: certificatesv1.CertificateSigningRequestStatus{Conditions: []certificatesv1.CertificateSigningRequestCondition{
			{Type: certificatesv1.CertificateApproved, Status: "True", LastTransitionTime: metav1.Unix(second, 0)},
		}},
	}
}

func issuerAt(name string, generation, observed int64) *selfsigned.SelfSignedIssuer {
	issuer := readyIssuer()
	issuer.Name, issuer.Generation = name, generation
	issuer.Status.Conditions[0].ObservedGeneration = observed
	return issuer
}

// scrape returns the metrics as text.
func scrape(t *testing.T, m *metrics) string {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(m); err != nil {
		t.Fatal(err)
	}
	response := httptest.NewRecorder()
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(response, httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody))
	if response.Code != http.StatusOK {
		t.Fatalf("status %d: %s", response.Code, response.Body)
	}
	return response.Body.String()
}

// Not compared: help texts, which are in docs/metrics.md, the many series with zero, and durations.
var unstable = regexp.MustCompile(`(?m)^(# HELP .*|selfsigned_issuer_(requests|events).* 0|selfsigned_issuer_sign_duration_seconds_(bucket|sum).*)\n`)

func TestMetrics(t *testing.T) {
	t.Parallel()
	m, _ := measured(t)
	want := `
# TYPE selfsigned_issuer_build_info gauge
selfsigned_issuer_build_info{goversion="` + runtime.Version() + `",version="v1.2.3"} 1
# TYPE selfsigned_issuer_events_dropped_total counter
selfsigned_issuer_events_dropped_total{reason="queue_full"} 1
# TYPE selfsigned_issuer_issuers gauge
selfsigned_issuer_issuers{kind="ClusterSelfSignedIssuer",ready="false"} 0
selfsigned_issuer_issuers{kind="ClusterSelfSignedIssuer",ready="true"} 0
selfsigned_issuer_issuers{kind="SelfSignedIssuer",ready="false"} 1
selfsigned_issuer_issuers{kind="SelfSignedIssuer",ready="true"} 2
# TYPE selfsigned_issuer_lease_not_renewed_seconds gauge
selfsigned_issuer_lease_not_renewed_seconds 1.5
# TYPE selfsigned_issuer_namespace_served gauge
selfsigned_issuer_namespace_served{served_namespace="sandbox"} 1
# TYPE selfsigned_issuer_ready gauge
selfsigned_issuer_ready 1
# TYPE selfsigned_issuer_requests_total counter
selfsigned_issuer_requests_total{kind="CertificateRequest",reason="CertificateIssued",result="issued"} 2
selfsigned_issuer_requests_total{kind="CertificateSigningRequest",reason="DeniedReference",result="failed"} 1
# TYPE selfsigned_issuer_requests_waiting gauge
selfsigned_issuer_requests_waiting{kind="CertificateRequest",reason="InProgress"} 3
selfsigned_issuer_requests_waiting{kind="CertificateRequest",reason="MissingOwner"} 3
selfsigned_issuer_requests_waiting{kind="CertificateRequest",reason="MissingSecret"} 2
selfsigned_issuer_requests_waiting{kind="CertificateRequest",reason="NotApproved"} 1
selfsigned_issuer_requests_waiting{kind="CertificateSigningRequest",reason="IssuerNotFound"} 1
# TYPE selfsigned_issuer_requests_waiting_oldest_timestamp_seconds gauge
selfsigned_issuer_requests_waiting_oldest_timestamp_seconds{kind="CertificateRequest",reason="InProgress"} 1000
selfsigned_issuer_requests_waiting_oldest_timestamp_seconds{kind="CertificateRequest",reason="MissingOwner"} 1450
selfsigned_issuer_requests_waiting_oldest_timestamp_seconds{kind="CertificateRequest",reason="MissingSecret"} 1500
selfsigned_issuer_requests_waiting_oldest_timestamp_seconds{kind="CertificateRequest",reason="NotApproved"} 1000
selfsigned_issuer_requests_waiting_oldest_timestamp_seconds{kind="CertificateSigningRequest",reason="IssuerNotFound"} 1650
# TYPE selfsigned_issuer_sign_duration_seconds histogram
selfsigned_issuer_sign_duration_seconds_count 1
`
	text := scrape(t, m)
	if got := unstable.ReplaceAllString(text, ""); got != want[1:] {
		t.Errorf("got\n%s\nwant\n%s", got, want[1:])
	}
	if problems, err := promlint.New(strings.NewReader(text)).Lint(); err != nil || len(problems) > 0 {
		t.Errorf("promlint: %v, %v", problems, err)
	}
}

// TestMetricsStartAtZero: an alert on an increase needs a series that existed before.
func TestMetricsStartAtZero(t *testing.T) {
	t.Parallel()
	m, _ := measured(t)
	text := scrape(t, m)
	for _, reason := range dropReasons {
		if series := fmt.Sprintf("selfsigned_issuer_events_dropped_total{reason=%q} ", reason); !strings.Contains(text, series) {
			t.Errorf("no series %s", series)
		}
	}
	for reason, outcome := range outcomes {
		for _, kind := range []string{"CertificateRequest", "CertificateSigningRequest"} {
			series := fmt.Sprintf("selfsigned_issuer_requests_total{kind=%q,reason=%q,result=%q} ", kind, reason, outcome.state)
			if outcome.state == pending {
				series = fmt.Sprintf("selfsigned_issuer_requests_waiting{kind=%q,reason=%q} ", kind, reason)
			}
			if !strings.Contains(text, series) {
				t.Errorf("no series %s", series)
			}
		}
	}
}

func TestGaugesFollowTheCache(t *testing.T) {
	t.Parallel()
	m, cache := measured(t)
	const waiting = `selfsigned_issuer_requests_waiting{kind="CertificateRequest",reason="MissingSecret"} 0`
	for _, name := range []string{"approved-late", "approved-early"} {
		if err := cache.Delete(t.Context(), requestAt(name, 0, "")); err != nil {
			t.Fatal(err)
		}
	}
	if text := scrape(t, m); !strings.Contains(text, waiting) {
		t.Errorf("deleted requests still wait:\n%s", text)
	}
	// After a restart, the state of a request is unknown until it is reconciled.
	if err := cache.Create(t.Context(), requestAt("approved-late", 1600, cmapi.CertificateRequestConditionApproved)); err != nil {
		t.Fatal(err)
	}
	g := m.gauges.Load()
	g.scopes[0].tracker = newWaitsOf(g.kinds)
	if text := scrape(t, m); !strings.Contains(text, `selfsigned_issuer_requests_waiting{kind="CertificateRequest",reason="InProgress"} 4`) {
		t.Errorf("a request of which nothing is known is not in progress:\n%s", text)
	}
}

// TestGaugesSumScopes: each series is a sum over the scopes that are still served.
func TestGaugesSumScopes(t *testing.T) {
	t.Parallel()
	m, cache := measured(t)
	g := m.gauges.Load()
	second := &scopeGauges{cache: cache, tracker: newWaitsOf(g.kinds)}
	for _, step := range []struct {
		change func(*scopeGauges)
		want   []string
	}{
		{g.add, []string{
			`selfsigned_issuer_requests_waiting{kind="CertificateRequest",reason="InProgress"} 8`,
			`selfsigned_issuer_requests_waiting{kind="CertificateRequest",reason="MissingSecret"} 2`,
			`selfsigned_issuer_issuers{kind="SelfSignedIssuer",ready="true"} 4`,
		}},
		{g.remove, []string{
			`selfsigned_issuer_requests_waiting{kind="CertificateRequest",reason="InProgress"} 3`,
			`selfsigned_issuer_issuers{kind="SelfSignedIssuer",ready="true"} 2`,
		}},
	} {
		step.change(second)
		text := scrape(t, m)
		for _, want := range step.want {
			if !strings.Contains(text, want) {
				t.Errorf("no %s in:\n%s", want, text)
			}
		}
	}
}

func TestStandbyReportsNoGauges(t *testing.T) {
	t.Parallel()
	m, _ := measured(t)
	m.gauges.Load().elected = make(chan struct{})
	text := scrape(t, m)
	if strings.Contains(text, "_waiting") || strings.Contains(text, "_issuers") {
		t.Errorf("a standby reports what the leader does:\n%s", text)
	}
	if !strings.Contains(text, "selfsigned_issuer_ready 1") {
		t.Errorf("a standby is not ready:\n%s", text)
	}
}

// TestMetricsOfOneRequest reconciles a request, and again when it is finished.
func TestMetricsOfOneRequest(t *testing.T) {
	t.Parallel()
	f := newFixture(t, interceptor.Funcs{})
	for range 2 {
		if _, err := f.reconcile(); err != nil {
			t.Fatal(err)
		}
	}
	text := scrape(t, f.reconciler.metrics)
	for _, want := range []string{
		`selfsigned_issuer_requests_total{kind="CertificateRequest",reason="CertificateIssued",result="issued"} 1`,
		`selfsigned_issuer_sign_duration_seconds_count 1`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in:\n%s", want, text)
		}
	}
}
