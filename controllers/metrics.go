// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"
)

const metricsPrefix = "selfsigned_issuer_"

// metrics are the metrics of selfsigned-issuer; controller-runtime adds those of queues, clients
// and the Lease. No label has the name of an object, so the number of series is bounded.
//
// A metric is added in two places: here and in newMetrics.
type metrics struct {
	*prometheus.Registry // of all below

	build    *prometheus.GaugeVec
	ready    prometheus.Gauge
	served   *prometheus.GaugeVec
	requests *prometheus.CounterVec
	signing  prometheus.Histogram

	eventsDropped *prometheus.CounterVec

	// leaseNotRenewedFor is nil without leader election.
	leaseNotRenewedFor atomic.Pointer[func() time.Duration]
	// gauges is nil until the caches are filled.
	gauges atomic.Pointer[gauges]
}

// processMetrics are registered with controller-runtime's registry.
var (
	processMetrics   = newMetrics()
	registerMetrics  = sync.OnceValue(func() error { return ctrlmetrics.Registry.Register(processMetrics) })
	signingDurations = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}
)

func newMetrics() *metrics {
	registry := prometheus.NewRegistry()
	add := promauto.With(registry)
	m := &metrics{
		Registry: registry,
		build: add.NewGaugeVec(prometheus.GaugeOpts{
			Name: metricsPrefix + "build_info",
			Help: "Always 1. The labels have the versions of selfsigned-issuer and Go.",
		}, []string{"version", "goversion"}),
		ready: add.NewGauge(prometheus.GaugeOpts{
			Name: metricsPrefix + "ready",
			Help: "1 if selfsigned-issuer is ready, as the leader or as a standby; 0 while it waits for CustomResourceDefinitions, fills its caches or serves no namespace.",
		}),
		served: add.NewGaugeVec(prometheus.GaugeOpts{
			Name: metricsPrefix + "namespace_served",
			Help: "1 if a namespace of --namespaces is served; 0 if it does not exist, lacks a permission, or while its caches are filled. Absent without this flag.",
		}, []string{"served_namespace"}),
		requests: add.NewCounterVec(prometheus.CounterOpts{
			Name: metricsPrefix + "requests_total",
			Help: "Finished requests, by kind, result (issued, failed or denied) and reason, as in docs/outcomes.md.",
		}, []string{"kind", "result", "reason"}),
		signing: add.NewHistogram(prometheus.HistogramOpts{
			Name:    metricsPrefix + "sign_duration_seconds",
			Help:    "How long signing a request takes: to parse it, to read its private key from the API server, and to create the certificate.",
			Buckets: signingDurations,
		}),
		eventsDropped: add.NewCounterVec(prometheus.CounterOpts{
			Name: metricsPrefix + "events_dropped_total",
			Help: "Events that were not written, by reason: queue_full, refused by the API server, retries_exhausted, or stopped if they are left at the end of selfsigned-issuer. A queued event that a later one of the same object replaces is not counted.",
		}, []string{"reason"}),
	}
	for _, reason := range dropReasons {
		m.eventsDropped.WithLabelValues(string(reason))
	}
	add.NewGaugeFunc(leaseOpts, m.notRenewedFor)
	registry.MustRegister(cacheGauges{m})
	return m
}

var leaseOpts = prometheus.GaugeOpts{
	Name: metricsPrefix + "lease_not_renewed_seconds",
	Help: "Seconds since the leader last renewed its Lease, normally at most about --leader-election-retry-period; 0 if this replica is not the leader.",
}

// notRenewedFor is the value of the gauge with leaseOpts.
func (m *metrics) notRenewedFor() float64 {
	if notRenewedFor := m.leaseNotRenewedFor.Load(); notRenewedFor != nil {
		return (*notRenewedFor)().Seconds()
	}
	return 0
}

// starting is called at the start.
func (m *metrics) starting(version string, leaseNotRenewedFor func() time.Duration) {
	if leaseNotRenewedFor != nil {
		m.leaseNotRenewedFor.Store(&leaseNotRenewedFor)
	}
	m.build.WithLabelValues(version, runtime.Version()).Set(1)
	m.ready.Set(0)
}

// started is called when the first caches are filled.
func (m *metrics) started(g *gauges) {
	// Each series starts with 0, so that the first failure is an increase.
	for _, kind := range g.kinds {
		for reason, outcome := range outcomes {
			if outcome.state != pending {
				m.requests.WithLabelValues(kind.name, outcome.state.String(), string(reason))
			}
		}
	}
	m.gauges.Store(g)
}

// ended counts a finished request.
func (m *metrics) ended(kind string, v *decision) {
	m.requests.WithLabelValues(kind, v.state().String(), string(v.reason)).Inc()
}

// signed observes a signature that was started at start.
func (m *metrics) signed(start time.Time) { m.signing.Observe(time.Since(start).Seconds()) }

// cacheGauges collects the gauges that only the leader reports.
type cacheGauges struct{ metrics *metrics }

// Describe implements prometheus.Collector.
func (cacheGauges) Describe(descriptions chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{waitingDesc, oldestDesc, issuersDesc} {
		descriptions <- d
	}
}

// Collect implements prometheus.Collector.
func (c cacheGauges) Collect(values chan<- prometheus.Metric) {
	if g := c.metrics.gauges.Load(); g != nil && g.leading() {
		g.collect(values)
	}
}
