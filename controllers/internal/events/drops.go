// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package events

import (
	"sync"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	eventsv1 "k8s.io/api/events/v1"
)

// dropReason is why an event was not written.
type dropReason string

const (
	queueFull        dropReason = "queue_full"
	eventRefused     dropReason = "refused"
	retriesExhausted dropReason = "retries_exhausted"
	writerStopped    dropReason = "stopped"
)

var dropReasons = []dropReason{queueFull, eventRefused, retriesExhausted, writerStopped}

// dropPeriod is the interval of log lines for each reason.
const dropPeriod = time.Minute

// eventDrops counts the events that are not written. It logs the first one at once, and the number
// of others once a minute.
type eventDrops struct {
	log   logr.Logger
	count *prometheus.CounterVec

	mu     sync.Mutex
	bursts map[dropReason]*burst
}

func newEventDrops(log logr.Logger, count *prometheus.CounterVec) *eventDrops {
	d := &eventDrops{log: log, count: count, bursts: map[dropReason]*burst{}}
	for _, reason := range dropReasons {
		d.bursts[reason] = &burst{}
		count.WithLabelValues(string(reason)) // 0, so that the first drop is an increase
	}
	return d
}

// burst is the events that were dropped for one reason since the last log line.
type burst struct {
	logged   time.Time
	unlogged int
}

// add counts one dropped event. err is the last error of the API server, or nil.
func (d *eventDrops) add(event *eventsv1.Event, reason dropReason, err error) {
	d.count.WithLabelValues(string(reason)).Inc()
	d.mu.Lock()
	defer d.mu.Unlock()
	b := d.bursts[reason]
	b.unlogged++
	if reason == writerStopped || time.Since(b.logged) < dropPeriod { // report logs the former
		return
	}
	d.log.Error(err, "Dropped events", "cause", reason, "count", b.unlogged,
		"namespace", event.Regarding.Namespace, "name", event.Regarding.Name, "reason", event.Reason)
	*b = burst{logged: time.Now()}
}

// addStopped counts the events that were still queued at the end.
func (d *eventDrops) addStopped(n int) {
	d.count.WithLabelValues(string(writerStopped)).Add(float64(n))
	d.mu.Lock()
	defer d.mu.Unlock()
	d.bursts[writerStopped].unlogged += n
}

// report logs the remaining numbers.
func (d *eventDrops) report() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, reason := range dropReasons {
		if b := d.bursts[reason]; b.unlogged > 0 {
			d.log.Info("Dropped events", "cause", reason, "count", b.unlogged)
			b.unlogged = 0
		}
	}
}
