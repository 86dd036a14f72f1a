// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

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
)

var (
	waitingDesc = prometheus.NewDesc(metricsPrefix+"requests_waiting",
		"Pending requests, by kind and reason: the reason of a pending outcome in docs/outcomes.md, NotApproved before the request is approved or denied, or InProgress before its first outcome. Only the leader reports it.",
		[]string{"kind", "reason"}, nil)
	oldestDesc = prometheus.NewDesc(metricsPrefix+"requests_waiting_oldest_timestamp_seconds",
		"Since when the oldest of these requests is pending, in Unix time: since its approval, or since its creation if it is not approved. Absent without pending requests. Only the leader reports it.",
		[]string{"kind", "reason"}, nil)
	issuersDesc = prometheus.NewDesc(metricsPrefix+"issuers",
		"Issuers, by kind and by whether they are ready for their current spec. Only the leader reports it.",
		[]string{"kind", "ready"}, nil)
)

// The reasons in addition to those of pending outcomes.
const (
	notApproved Reason = "NotApproved"
	inProgress  Reason = "InProgress"
)

// gauges are computed at each scrape from the caches and the state of pending requests. They send
// no calls to the API server. Their cost depends on the number of pending requests and issuers.
type gauges struct {
	elected <-chan struct{}
	clock   clock.PassiveClock
	kinds   []requestKind
	issuers []string // their kinds

	mu     sync.Mutex
	scopes []*scopeGauges
}

// scopeGauges is the part of a scope. The series are sums over all scopes.
type scopeGauges struct {
	cache   client.Reader
	tracker map[string]*pendingTracker // by the name of the kind of request
}

func (g *gauges) add(s *scopeGauges) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.scopes = append(g.scopes, s)
}

func (g *gauges) remove(s *scopeGauges) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.scopes = slices.DeleteFunc(g.scopes, func(other *scopeGauges) bool { return other == s })
}

// leading is false on a standby, whose values would be added to those of the leader.
func (g *gauges) leading() bool { return isClosed(g.elected) }

func (g *gauges) collect(values chan<- prometheus.Metric) {
	g.mu.Lock()
	scopes := slices.Clone(g.scopes)
	g.mu.Unlock()
	for _, kind := range g.kinds {
		collectRequests(scopes, kind, g.clock.Now(), values)
	}
	for _, kind := range g.issuers {
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

func collectRequests(scopes []*scopeGauges, kind requestKind, now time.Time, values chan<- prometheus.Metric) {
	groups := map[Reason]*group{notApproved: {}, inProgress: {}}
	for reason, outcome := range outcomes {
		if outcome.state == pending {
			groups[reason] = &group{}
		}
	}
	for _, scope := range scopes {
		err := forEachCached(context.Background(), scope.cache, kind.newList(), func(object client.Object) {
			request := kind.wrap(object)
			groups[scope.reason(kind, request, now)].add(request.waitingSince())
		}, client.MatchingFields{byUnfinished: "true"})
		if err != nil { // the cache is being stopped
			return
		}
	}
	for reason, group := range groups {
		labels := []string{kind.name, string(reason)}
		values <- prometheus.MustNewConstMetric(waitingDesc, prometheus.GaugeValue, float64(group.size), labels...)
		if group.size > 0 {
			values <- prometheus.MustNewConstMetric(oldestDesc, prometheus.GaugeValue, float64(group.oldest.Unix()), labels...)
		}
	}
}

func (s *scopeGauges) reason(kind requestKind, request request, now time.Time) Reason {
	object := request.object()
	if unattended(object, now) {
		return ReasonMissingOwner
	}
	if !request.approved() && !request.denied() {
		return notApproved
	}
	reported := s.tracker[kind.name].lastReported(client.ObjectKeyFromObject(object), object.GetUID())
	return cmp.Or(reported, inProgress)
}

func collectIssuers(scopes []*scopeGauges, kind string, values chan<- prometheus.Metric) {
	var ready, unready int
	for _, scope := range scopes {
		err := forEachCached(context.Background(), scope.cache, issuerRef{kind: kind}.newList(), func(object client.Object) {
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
	ready := readyOf(issuer)
	return ready != nil && ready.Status == metav1.ConditionTrue && ready.ObservedGeneration >= issuer.GetGeneration()
}
