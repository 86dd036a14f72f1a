// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	libapi "github.com/cert-manager/issuer-lib/api/v1alpha1"
	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/cert-manager/selfsigned-issuer/controllers/internal/outcome"
	"github.com/cert-manager/selfsigned-issuer/controllers/internal/request"
)

var (
	waitingDesc = prometheus.NewDesc(prefix+"requests_waiting",
		"Pending requests, by kind and reason: the reason of a pending outcome in docs/outcomes.md, NotApproved before the request is approved or denied, or InProgress before its first outcome. Only the leader reports it.",
		[]string{"kind", "reason"}, nil)
	oldestDesc = prometheus.NewDesc(prefix+"requests_waiting_oldest_timestamp_seconds",
		"Since when the oldest of these requests is pending, in Unix time: since its approval, or since its creation if it is not approved. Absent without pending requests. Only the leader reports it.",
		[]string{"kind", "reason"}, nil)
	issuersDesc = prometheus.NewDesc(prefix+"issuers",
		"Issuers, by kind and by whether they are ready for their current spec. Only the leader reports it.",
		[]string{"kind", "ready"}, nil)
)

// The reasons in addition to those of pending outcomes.
const (
	notApproved outcome.Reason = "NotApproved"
	inProgress  outcome.Reason = "InProgress"
)

// Collector computes the gauges at each scrape from the caches and the state of pending requests. It
// sends no calls to the API server. Its cost depends on the number of pending requests and issuers.
type Collector struct {
	metrics *Metrics
	clock   clock.PassiveClock
	kinds   []request.Kind
	issuers []string // their kinds

	mu     sync.Mutex
	scopes []*Scope
}

// Scope is the part of a scope. The series are sums over all scopes.
type Scope struct {
	Cache client.Reader
	// Reported returns the reason of the last event about a request; empty without one.
	Reported func(kind string, object client.Object) outcome.Reason
}

// NewCollector returns a collector of these kinds of requests and issuers.
func (m *Metrics) NewCollector(clock clock.PassiveClock, kinds []request.Kind, issuers []string) *Collector {
	return &Collector{metrics: m, clock: clock, kinds: kinds, issuers: issuers}
}

// NeedLeaderElection implements manager.LeaderElectionRunnable. The values of a standby would be
// added to those of the leader.
func (*Collector) NeedLeaderElection() bool { return true }

// Start implements manager.Runnable. The gauges are reported until ctx ends.
func (c *Collector) Start(ctx context.Context) error {
	if err := c.metrics.Register(c); err != nil {
		return err
	}
	defer c.metrics.Unregister(c)
	<-ctx.Done()
	return nil
}

// Add adds the values of a scope.
func (c *Collector) Add(s *Scope) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.scopes = append(c.scopes, s)
}

// Remove removes the values of a scope.
func (c *Collector) Remove(s *Scope) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.scopes = slices.DeleteFunc(c.scopes, func(other *Scope) bool { return other == s })
}

// Describe implements prometheus.Collector.
func (*Collector) Describe(descriptions chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{waitingDesc, oldestDesc, issuersDesc} {
		descriptions <- d
	}
}

// Collect implements prometheus.Collector.
func (c *Collector) Collect(values chan<- prometheus.Metric) {
	c.mu.Lock()
	scopes := slices.Clone(c.scopes)
	c.mu.Unlock()
	for _, kind := range c.kinds {
		collectRequests(scopes, kind, c.clock.Now(), values)
	}
	for _, kind := range c.issuers {
		collectIssuers(scopes, kind, values)
	}
}

// group is the pending requests with the same reason.
type group struct {
	size   int
	oldest time.Time
}

func (g *group) add(since time.Time) {
	g.size++
	if g.oldest.IsZero() || since.Before(g.oldest) {
		g.oldest = since
	}
}

func collectRequests(scopes []*Scope, kind request.Kind, now time.Time, values chan<- prometheus.Metric) {
	groups := map[outcome.Reason]*group{notApproved: {}, inProgress: {}}
	for reason, o := range outcome.Table {
		if o.State == outcome.Pending {
			groups[reason] = &group{}
		}
	}
	for _, scope := range scopes {
		err := request.ForEach(context.Background(), scope.Cache, kind.NewList(), func(object client.Object) {
			r := kind.Wrap(object)
			groups[scope.reason(kind, r, now)].add(r.WaitingSince())
		}, client.MatchingFields{request.ByUnfinished: "true"})
		if err != nil { // the cache is being stopped
			return
		}
	}
	for reason, group := range groups {
		labels := []string{kind.Name, string(reason)}
		values <- prometheus.MustNewConstMetric(waitingDesc, prometheus.GaugeValue, float64(group.size), labels...)
		if group.size > 0 {
			values <- prometheus.MustNewConstMetric(oldestDesc, prometheus.GaugeValue, float64(group.oldest.Unix()), labels...)
		}
	}
}

func (s *Scope) reason(kind request.Kind, r request.Request, now time.Time) outcome.Reason {
	if request.Unattended(r, now) {
		return outcome.ReasonMissingOwner
	}
	if !r.Approved() && !r.Denied() {
		return notApproved
	}
	return cmp.Or(s.Reported(kind.Name, r.Object()), inProgress)
}

func collectIssuers(scopes []*Scope, kind string, values chan<- prometheus.Metric) {
	var ready, unready int
	for _, scope := range scopes {
		err := request.ForEach(context.Background(), scope.Cache, request.IssuerRef{Kind: kind}.NewList(), func(object client.Object) {
			if isReady(object.(libapi.Issuer)) {
				ready++
			} else {
				unready++
			}
		})
		if err != nil { // the cache is being stopped
			return
		}
	}
	values <- prometheus.MustNewConstMetric(issuersDesc, prometheus.GaugeValue, float64(ready), kind, "true")
	values <- prometheus.MustNewConstMetric(issuersDesc, prometheus.GaugeValue, float64(unready), kind, "false")
}

func isReady(issuer libapi.Issuer) bool {
	ready := request.ReadyCondition(issuer)
	return ready != nil && ready.Status == metav1.ConditionTrue && ready.ObservedGeneration >= issuer.GetGeneration()
}
