// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"sync"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	eventsv1 "k8s.io/api/events/v1"
)

// dropReason says why an event was not written.
type dropReason string

const (
	queueFull        dropReason = "queue_full"
	eventRefused     dropReason = "refused"
	retriesExhausted dropReason = "retries_exhausted"
	writerStopped    dropReason = "stopped"
)

var dropReasons = []dropReason{queueFull, eventRefused, retriesExhausted, writerStopped}

// dropPeriod is how often dropped events are logged, for each reason.
const dropPeriod = time.Minute

// eventDrops counts the events that are not written, and logs the first one of a burst, then
// how many more there were each minute.
type eventDrops struct {
	log   logr.Logger
	count *prometheus.CounterVec

	mu     sync.Mutex
	bursts map[dropReason]*burst
}

// burst is what has been dropped for one reason since the last line in the log.
type burst struct {
	logged   time.Time
	unlogged int
}

// add notes one dropped event. err is the API server's last answer, if there was one.
func (d *eventDrops) add(event *eventsv1.Event, reason dropReason, err error) {
	d.count.WithLabelValues(string(reason)).Inc()
	d.mu.Lock()
	defer d.mu.Unlock()
	b := d.burst(reason)
	b.unlogged++
	if reason == writerStopped || time.Since(b.logged) < dropPeriod { // report logs the former
		return
	}
	d.log.Error(err, "Dropped events", "cause", reason, "count", b.unlogged,
		"namespace", event.Regarding.Namespace, "name", event.Regarding.Name, "reason", event.Reason)
	*b = burst{logged: time.Now()}
}

// addStopped notes the events that were not tried any more.
func (d *eventDrops) addStopped(n int) {
	d.count.WithLabelValues(string(writerStopped)).Add(float64(n))
	d.mu.Lock()
	defer d.mu.Unlock()
	d.burst(writerStopped).unlogged += n
}

// report logs what no line has been written for yet.
func (d *eventDrops) report() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, reason := range dropReasons {
		if b := d.burst(reason); b.unlogged > 0 {
			d.log.Info("Dropped events", "cause", reason, "count", b.unlogged)
			b.unlogged = 0
		}
	}
}

func (d *eventDrops) burst(reason dropReason) *burst {
	if d.bursts[reason] == nil {
		d.bursts[reason] = &burst{}
	}
	return d.bursts[reason]
}
