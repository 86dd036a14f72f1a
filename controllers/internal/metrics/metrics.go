// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package metrics has the metrics of selfsigned-issuer. The Collector computes the gauges of the
// leader from the caches at each scrape.
package metrics

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/cert-manager/selfsigned-issuer/controllers/internal/outcome"
	"github.com/cert-manager/selfsigned-issuer/controllers/internal/request"
)

const prefix = "selfsigned_issuer_"

// Metrics are the metrics of selfsigned-issuer; controller-runtime adds those of queues, clients
// and the Lease. No label has the name of an object, so the number of series is bounded.
//
// A metric is added in two places: here and in New.
type Metrics struct {
	*prometheus.Registry // of the metrics below

	Ready         prometheus.Gauge       // 1 or 0
	Served        *prometheus.GaugeVec   // 1 or 0, by namespace
	EventsDropped *prometheus.CounterVec // by reason

	build    *prometheus.GaugeVec
	requests *prometheus.CounterVec
	signing  prometheus.Histogram

	// leaseNotRenewedFor is nil without leader election.
	leaseNotRenewedFor atomic.Pointer[func() time.Duration]
}

var (
	ofProcess = New()
	register  = sync.OnceValue(func() error { return ctrlmetrics.Registry.Register(ofProcess) })

	signingDurations = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}
)

// Registered returns the metrics that are registered with controller-runtime's registry.
func Registered() (*Metrics, error) { return ofProcess, register() }

// New returns metrics that are not registered.
func New() *Metrics {
	registry := prometheus.NewRegistry()
	add := promauto.With(registry)
	m := &Metrics{
		Registry: registry,
		build: add.NewGaugeVec(prometheus.GaugeOpts{
			Name: prefix + "build_info",
			Help: "Always 1. The labels have the versions of selfsigned-issuer and Go.",
		}, []string{"version", "goversion"}),
		Ready: add.NewGauge(prometheus.GaugeOpts{
			Name: prefix + "ready",
			Help: "1 if selfsigned-issuer is ready, as the leader or as a standby; 0 while it waits for CustomResourceDefinitions, fills its caches or serves no namespace.",
		}),
		Served: add.NewGaugeVec(prometheus.GaugeOpts{
			Name: prefix + "namespace_served",
			Help: "1 if a namespace of --namespaces is served; 0 if it does not exist, lacks a permission, or while its caches are filled. Absent without this flag.",
		}, []string{"served_namespace"}),
		requests: add.NewCounterVec(prometheus.CounterOpts{
			Name: prefix + "requests_total",
			Help: "Finished requests, by kind, result (issued, failed or denied) and reason, as in docs/outcomes.md.",
		}, []string{"kind", "result", "reason"}),
		signing: add.NewHistogram(prometheus.HistogramOpts{
			Name:    prefix + "sign_duration_seconds",
			Help:    "How long signing a request takes: to parse it, to read its private key from the API server, and to create the certificate.",
			Buckets: signingDurations,
		}),
		EventsDropped: add.NewCounterVec(prometheus.CounterOpts{
			Name: prefix + "events_dropped_total",
			Help: "Events that were not written, by reason: queue_full, refused by the API server, retries_exhausted, or stopped if they are left at the end of selfsigned-issuer. A queued event that a later one of the same object replaces is not counted.",
		}, []string{"reason"}),
	}
	add.NewGaugeFunc(leaseOpts, m.notRenewedFor)
	return m
}

var leaseOpts = prometheus.GaugeOpts{
	Name: prefix + "lease_not_renewed_seconds",
	Help: "Seconds since the leader last renewed its Lease, normally at most about --leader-election-retry-period; 0 if this replica is not the leader.",
}

// notRenewedFor is the value of the gauge with leaseOpts.
func (m *Metrics) notRenewedFor() float64 {
	if notRenewedFor := m.leaseNotRenewedFor.Load(); notRenewedFor != nil {
		return (*notRenewedFor)().Seconds()
	}
	return 0
}

// Starting is called at the start.
func (m *Metrics) Starting(version string, leaseNotRenewedFor func() time.Duration) {
	if leaseNotRenewedFor != nil {
		m.leaseNotRenewedFor.Store(&leaseNotRenewedFor)
	}
	m.build.WithLabelValues(version, runtime.Version()).Set(1)
	m.Ready.Set(0)
}

// Started is called when the first caches are filled. Each series starts with 0, so that the first
// failure is an increase.
func (m *Metrics) Started(kinds []request.Kind) {
	for _, kind := range kinds {
		for reason, o := range outcome.Table {
			if o.State != outcome.Pending {
				m.requests.WithLabelValues(kind.Name, o.State.String(), string(reason))
			}
		}
	}
}

// Ended counts a finished request.
func (m *Metrics) Ended(kind string, d *outcome.Decision) {
	m.requests.WithLabelValues(kind, d.State().String(), string(d.Reason)).Inc()
}

// Signed observes a signature that was started at start.
func (m *Metrics) Signed(start time.Time) { m.signing.Observe(time.Since(start).Seconds()) }
