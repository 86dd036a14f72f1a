// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

const (
	// A served namespace is checked every servedInterval, because the API server does not end a
	// watch when its permission is removed. Another one is checked every unservedInterval.
	servedInterval   = 30 * time.Second
	unservedInterval = 10 * time.Second

	// clusterInterval is the interval for the whole cluster while it is served.
	clusterInterval = 10 * time.Minute

	// intervalJitter is the maximum random extension of an interval, so that many namespaces are
	// not checked at the same time.
	intervalJitter = 0.5

	// recheckDelay is the delay after a first refusal. An API server that has just started can
	// refuse what it permits a moment later.
	recheckDelay = 2 * time.Second

	// fillTimeout is how long a namespace can delay readiness.
	fillTimeout = 30 * time.Second
)

// namespaceRunner serves one namespace, or the whole cluster if the namespace is empty, while its
// objects can be listed and watched.
type namespaceRunner struct {
	namespace string
	// check returns missingPermissionsError, another error without an answer of the API server, or
	// nil and whether the API server supports ownRequests.
	check func(ctx context.Context, namespace string) (selectable bool, err error)
	// serve starts the caches, which call refused if a list or watch is refused.
	serve func(ctx context.Context, namespace string, selectable bool, refused func()) (*servedScope, error)
	// report is called with each state, also if it has not changed.
	report func(namespace string, s namespaceState)

	current     *servedScope // nil while the namespace is not served
	refused     chan struct{}
	selectable  bool      // the last result of check
	unconfirmed bool      // the last check was the first refusal
	since       time.Time // start of the wait for an answer or the caches
}

// servedScope is a scope with its controllers, which are set up when filled is closed.
type servedScope struct {
	filled     chan struct{}
	err        error // of the setup
	stop       func()
	selectable bool // as the caches were set up
	reported   bool // as served
}

// run returns when ctx ends, or with an error if the controllers cannot be set up.
func (r *namespaceRunner) run(ctx context.Context) error {
	r.refused, r.since = make(chan struct{}, 1), time.Now()
	answer := r.ask(ctx)
	for ctx.Err() == nil {
		if err := r.follow(ctx, answer); err != nil {
			return err
		}
		if filled := r.pause(ctx, answer); filled {
			answer = nil
		} else {
			answer = r.ask(ctx)
		}
	}
	return nil
}

// ask checks the namespace. If another version of cert-manager's CRDs supports other field
// selectors, it stops the caches.
func (r *namespaceRunner) ask(ctx context.Context) error {
	selectable, err := r.check(ctx, r.namespace)
	if err != nil {
		return err
	}
	r.selectable = selectable
	if r.current != nil && r.current.selectable != selectable {
		r.stop()
	}
	return nil
}

// follow starts or stops the scope and reports its state.
func (r *namespaceRunner) follow(ctx context.Context, answer error) (err error) {
	if missing := (missingPermissionsError{}); errors.As(answer, &missing) {
		r.unconfirmed = r.current != nil && !r.unconfirmed
		if !r.unconfirmed {
			r.leaveOut(missing)
		}
		return nil
	}
	r.unconfirmed = false
	if r.current != nil && isClosed(r.current.filled) {
		r.current.reported = r.current.err == nil
		if r.current.reported {
			r.report(r.namespace, namespaceState{})
		}
		return r.current.err
	}
	reason := "filling the caches"
	if answer != nil {
		reason = answer.Error()
	} else if r.current == nil {
		r.since = time.Now()
		r.current, err = r.serve(ctx, r.namespace, r.selectable, r.noteRefusal)
	}
	r.report(r.namespace, namespaceState{notServed: reason, leftOut: time.Since(r.since) >= fillTimeout})
	return err
}

// leaveOut stops the caches and controllers, and then reports it.
func (r *namespaceRunner) leaveOut(missing missingPermissionsError) {
	if r.namespace != "" { // the caches of the whole cluster are kept
		r.stop()
	}
	r.report(r.namespace, namespaceState{notServed: missing.remedy(r.namespace), leftOut: true})
	r.since = time.Now()
}

func (r *namespaceRunner) served() bool { return r.current != nil && r.current.reported }

func (r *namespaceRunner) stop() {
	if r.current != nil {
		r.current.stop()
		r.current = nil
	}
}

// noteRefusal triggers the next check.
func (r *namespaceRunner) noteRefusal() {
	select {
	case r.refused <- struct{}{}:
	default:
	}
}

// pause returns when the next check is due, or with true when the caches are filled.
func (r *namespaceRunner) pause(ctx context.Context, answer error) bool {
	var filled chan struct{}
	if r.current != nil && !r.served() {
		filled = r.current.filled
	}
	refused := r.refused
	if r.unconfirmed {
		refused = nil // the other caches can be refused at the same time
	}
	timer := time.NewTimer(wait.Jitter(r.interval(answer), intervalJitter))
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-refused:
	case <-timer.C:
	case <-filled:
		return true
	}
	return false
}

func (r *namespaceRunner) interval(answer error) time.Duration {
	switch {
	case r.unconfirmed:
		return recheckDelay
	case errors.As(answer, new(missingPermissionsError)):
		return unservedInterval
	case r.served() && r.namespace == "":
		return clusterInterval
	case r.served():
		return servedInterval
	case r.current == nil:
		return crdPollInterval
	default:
		return unservedInterval
	}
}
