// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"context"
	"fmt"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	certificatesv1 "k8s.io/api/certificates/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	apiruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	selfsigned "github.com/cert-manager/selfsigned-issuer/api/v1alpha1"
	"github.com/cert-manager/selfsigned-issuer/controllers/internal/outcome"
	"github.com/cert-manager/selfsigned-issuer/controllers/internal/request"
	"github.com/cert-manager/selfsigned-issuer/controllers/internal/testsupport"
)

// measured returns the metrics of a leader with many states of requests and issuers.
func measured(t *testing.T) (*Metrics, *Collector) {
	t.Helper()
	kinds := []request.Kind{request.CertificateRequests(), request.CertificateSigningRequests("cert-manager", request.AccessReviewer{})}
	builder := fake.NewClientBuilder().WithScheme(scheme(t)).WithObjects(
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
		builder = builder.WithIndex(kind.NewObject(), request.ByUnfinished, kind.Indexes()[request.ByUnfinished])
	}
	reported := map[string]outcome.Reason{
		"CertificateRequest approved-late": outcome.ReasonSecretNotFound, "CertificateRequest approved-early": outcome.ReasonSecretNotFound,
		"CertificateSigningRequest csr": outcome.ReasonIssuerNotFound,
	}
	m := New()
	c := m.NewCollector(clocktesting.NewFakePassiveClock(time.Unix(2000, 0)), kinds, []string{request.IssuerKind, request.ClusterIssuerKind})
	c.Add(&Scope{Cache: builder.Build(), Reported: func(kind string, object client.Object) outcome.Reason {
		return reported[kind+" "+object.GetName()]
	}})
	m.Starting("v1.2.3", func() time.Duration { return 1500 * time.Millisecond })
	m.Started(kinds)
	m.Ready.Set(1)
	m.Served.WithLabelValues("sandbox").Set(1)
	m.Ended(cmapi.CertificateRequestKind, &outcome.Decision{Reason: outcome.ReasonIssued})
	m.Ended(cmapi.CertificateRequestKind, &outcome.Decision{Reason: outcome.ReasonIssued})
	m.Ended("CertificateSigningRequest", &outcome.Decision{Reason: outcome.ReasonReferenceDenied})
	m.Signed(time.Now())
	m.EventsDropped.WithLabelValues("queue_full").Inc()
	return m, c
}

// lead makes this replica the leader until the test ends.
func lead(t *testing.T, m *Metrics, c *Collector) {
	t.Helper()
	// As in production, it is registered before the collector starts.
	registry := prometheus.NewRegistry()
	registry.MustRegister(m)
	reported := func() bool {
		families, err := registry.Gather()
		if err != nil {
			t.Error(err)
		}
		for _, family := range families {
			if strings.HasSuffix(family.GetName(), "_waiting") {
				return true
			}
		}
		return false
	}
	ctx, stop := context.WithCancel(context.Background())
	var leading sync.WaitGroup
	leading.Go(func() {
		if err := c.Start(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		stop()
		leading.Wait()
		if reported() {
			t.Error("the gauges are still reported after the end")
		}
	})
	for !reported() {
		runtime.Gosched()
	}
}

func scheme(t *testing.T) *apiruntime.Scheme {
	t.Helper()
	scheme := apiruntime.NewScheme()
	for _, add := range []func(*apiruntime.Scheme) error{certificatesv1.AddToScheme, cmapi.AddToScheme, selfsigned.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	return scheme
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
		ObjectMeta: metav1.ObjectMeta{Namespace: "sandbox", Name: name, UID: types.UID(name), CreationTimestamp: metav1.Unix(1000, 0), OwnerReferences: testsupport.OwnedBy("certificate")},
		Spec:       cmapi.CertificateRequestSpec{IssuerRef: cmmeta.IssuerReference{Group: selfsigned.GroupName, Kind: request.IssuerKind, Name: "issuer"}},
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
	issuer := testsupport.ReadyIssuer()
	issuer.Name, issuer.Generation = name, generation
	issuer.Status.Conditions[0].ObservedGeneration = observed
	return issuer
}

// Not compared: help texts, which are in docs/metrics.md, the many series with zero, and durations.
var unstable = regexp.MustCompile(`(?m)^(# HELP .*|selfsigned_issuer_(requests|events).* 0|selfsigned_issuer_sign_duration_seconds_(bucket|sum).*)\n`)

func TestMetrics(t *testing.T) {
	t.Parallel()
	m, c := measured(t)
	lead(t, m, c)
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
	text := testsupport.Scrape(t, m)
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
	m, c := measured(t)
	lead(t, m, c)
	text := testsupport.Scrape(t, m)
	for reason, o := range outcome.Table {
		for _, kind := range []string{"CertificateRequest", "CertificateSigningRequest"} {
			series := fmt.Sprintf("selfsigned_issuer_requests_total{kind=%q,reason=%q,result=%q} ", kind, reason, o.State)
			if o.State == outcome.Pending {
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
	m, c := measured(t)
	lead(t, m, c)
	cache := c.scopes[0].Cache.(client.Client)
	const waiting = `selfsigned_issuer_requests_waiting{kind="CertificateRequest",reason="MissingSecret"} 0`
	for _, name := range []string{"approved-late", "approved-early"} {
		if err := cache.Delete(t.Context(), requestAt(name, 0, "")); err != nil {
			t.Fatal(err)
		}
	}
	if text := testsupport.Scrape(t, m); !strings.Contains(text, waiting) {
		t.Errorf("deleted requests still wait:\n%s", text)
	}
	// After a restart, the state of a request is unknown until it is reconciled.
	if err := cache.Create(t.Context(), requestAt("approved-late", 1600, cmapi.CertificateRequestConditionApproved)); err != nil {
		t.Fatal(err)
	}
	c.scopes[0].Reported = func(string, client.Object) outcome.Reason { return "" }
	if text := testsupport.Scrape(t, m); !strings.Contains(text, `selfsigned_issuer_requests_waiting{kind="CertificateRequest",reason="InProgress"} 4`) {
		t.Errorf("a request of which nothing is known is not in progress:\n%s", text)
	}
}

// TestGaugesSumScopes: each series is a sum over the scopes that are still served.
func TestGaugesSumScopes(t *testing.T) {
	t.Parallel()
	m, c := measured(t)
	lead(t, m, c)
	second := &Scope{Cache: c.scopes[0].Cache, Reported: func(string, client.Object) outcome.Reason { return "" }}
	for _, step := range []struct {
		change func(*Scope)
		want   []string
	}{
		{c.Add, []string{
			`selfsigned_issuer_requests_waiting{kind="CertificateRequest",reason="InProgress"} 8`,
			`selfsigned_issuer_requests_waiting{kind="CertificateRequest",reason="MissingSecret"} 2`,
			`selfsigned_issuer_issuers{kind="SelfSignedIssuer",ready="true"} 4`,
		}},
		{c.Remove, []string{
			`selfsigned_issuer_requests_waiting{kind="CertificateRequest",reason="InProgress"} 3`,
			`selfsigned_issuer_issuers{kind="SelfSignedIssuer",ready="true"} 2`,
		}},
	} {
		step.change(second)
		text := testsupport.Scrape(t, m)
		for _, want := range step.want {
			if !strings.Contains(text, want) {
				t.Errorf("no %s in:\n%s", want, text)
			}
		}
	}
}

func TestStandbyReportsNoGauges(t *testing.T) {
	t.Parallel()
	m, c := measured(t)
	if !c.NeedLeaderElection() {
		t.Error("a standby starts the collector")
	}
	text := testsupport.Scrape(t, m)
	if strings.Contains(text, "_waiting") || strings.Contains(text, "_issuers") {
		t.Errorf("a standby reports what the leader does:\n%s", text)
	}
	if !strings.Contains(text, "selfsigned_issuer_ready 1") {
		t.Errorf("a standby is not ready:\n%s", text)
	}
}
