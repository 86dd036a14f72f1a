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
		"Requests that wait, by kind and reason: the reason of a pending situation in docs/outcomes.md, NotApproved while nobody has approved or denied the request, or InProgress before anything is found to wait for. Only the leader reports it.",
		[]string{"kind", "reason"}, nil)
	oldestDesc = prometheus.NewDesc(metricsPrefix+"requests_waiting_oldest_timestamp_seconds",
		"Since when the oldest of these requests has waited, in Unix time: since its approval, or since its creation without one. Absent when none waits. Only the leader reports it.",
		[]string{"kind", "reason"}, nil)
	issuersDesc = prometheus.NewDesc(metricsPrefix+"issuers",
		"Issuers by kind and by whether they are Ready for their current spec. Only the leader reports it.",
		[]string{"kind", "ready"}, nil)
)

// Reasons to wait beside the pending situations.
const (
	notApproved Reason = "NotApproved"
	inProgress  Reason = "InProgress"
)

// gauges are computed at each scrape from the caches, which know of restarts and deletions,
// and from what the process remembers of each request that waits. They ask the API server
// for nothing, and cost as much as there are requests that wait, and issuers.
type gauges struct {
	elected <-chan struct{}
	clock   clock.PassiveClock
	kinds   []requestKind
	issuers []string // their kinds

	mu     sync.Mutex
	scopes []*scopeGauges
}

// scopeGauges are what a scope contributes: the series are sums over all scopes.
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

// leading is false on a standby, whose numbers would come on top of the leader's.
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

// group is the requests that wait for the same reason.
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
