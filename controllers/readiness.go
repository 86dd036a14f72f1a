// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/go-logr/logr"

	"github.com/cert-manager/selfsigned-issuer/controllers/internal/metrics"
)

// namespaceState is whether a namespace is served.
type namespaceState struct {
	notServed string // the reason; empty if it is served
	leftOut   bool   // it does not delay readiness
}

// readiness reports the state of the namespaces in the log, in the probes and in the metrics.
type readiness struct {
	log     logr.Logger
	metrics *metrics.Metrics

	mu       sync.Mutex
	notReady error                     // nil if ready
	states   map[string]namespaceState // by namespace; "" is the whole cluster
	started  bool                      // was ready once
	logged   map[string]string         // the last logged reason, by namespace
}

func newReadiness(log logr.Logger, m *metrics.Metrics) *readiness {
	return &readiness{log: log, metrics: m, notReady: errors.New("starting"), states: map[string]namespaceState{}, logged: map[string]string{}}
}

// wait sets the reason why no namespace can be served yet, and logs a change.
func (r *readiness) wait(reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.notReady = errors.New(reason)
	r.logOnce("", "Not ready: ", reason)
}

// begin sets the namespaces to serve.
func (r *readiness) begin(namespaces []string) {
	for _, namespace := range namespaces {
		if namespace != "" {
			r.metrics.Served.WithLabelValues(namespace).Set(0)
		}
		r.set(namespace, namespaceState{notServed: "filling the caches"})
	}
}

// set sets the state of a namespace, and logs a change.
func (r *readiness) set(namespace string, s namespaceState) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.states[namespace] = s
	if namespace != "" {
		r.reportNamespace(namespace, s)
	}
	r.reportProcess()
}

func (r *readiness) reportNamespace(namespace string, s namespaceState) {
	switch {
	case s.notServed == "":
		r.metrics.Served.WithLabelValues(namespace).Set(1)
		if r.logged[namespace] != "" {
			r.log.Info(fmt.Sprintf("Namespace %s is served", namespace))
			delete(r.logged, namespace)
		}
	case s.leftOut:
		r.metrics.Served.WithLabelValues(namespace).Set(0)
		r.logOnce(namespace, "", s.describe(namespace))
	}
}

func (r *readiness) reportProcess() {
	wasReady := r.notReady == nil
	r.notReady = r.reason()
	if r.notReady == nil {
		r.metrics.Ready.Set(1)
		if !wasReady {
			r.started = true
			r.log.Info("Ready to sign")
			delete(r.logged, "")
		}
		return
	}
	r.metrics.Ready.Set(0)
	if cluster, whole := r.states[""]; whole && cluster.leftOut {
		r.logOnce("", "Not ready: ", cluster.notServed)
	} else if !whole && len(r.describe(true)) == len(r.states) {
		r.logOnce("", "Not ready: ", noneServed)
	}
}

// logOnce logs a reason unless it is the last logged reason of the namespace.
func (r *readiness) logOnce(namespace, intro, reason string) {
	if r.logged[namespace] != reason {
		r.log.Info(intro + reason)
		r.logged[namespace] = reason
	}
}

// noneServed is the reason if no namespace is served.
const noneServed = "none of the namespaces in --namespaces is served"

// reason returns why selfsigned-issuer is not ready: no namespace is served, or one is not filled
// yet after the start.
func (r *readiness) reason() error {
	if cluster, whole := r.states[""]; whole {
		if cluster.notServed == "" {
			return nil
		}
		return errors.New(cluster.notServed)
	}
	filling, unserved := r.describe(false), r.describe(true)
	switch {
	case len(unserved) == len(r.states):
		return errors.New(noneServed + ". " + strings.Join(unserved, " "))
	case len(filling) > 0 && (!r.started || len(filling)+len(unserved) == len(r.states)):
		return errors.New(strings.Join(filling, "; "))
	default:
		return nil
	}
}

// describeUnserved describes the namespaces that are left out.
func (r *readiness) describeUnserved() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.describe(true)
}

// describe describes the namespaces that are left out, or those that still delay readiness.
func (r *readiness) describe(leftOut bool) []string {
	var lines []string
	for _, namespace := range slices.Sorted(maps.Keys(r.states)) {
		if s := r.states[namespace]; namespace != "" && s.notServed != "" && s.leftOut == leftOut {
			lines = append(lines, s.describe(namespace))
		}
	}
	return lines
}

func (s namespaceState) describe(namespace string) string {
	if s.leftOut {
		return fmt.Sprintf("Namespace %s is not served: %s", namespace, s.notServed)
	}
	return fmt.Sprintf("namespace %s: %s", namespace, s.notServed)
}

// check is the readiness probe.
func (r *readiness) check() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.notReady
}
