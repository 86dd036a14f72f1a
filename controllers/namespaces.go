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
	// A namespace that is served is checked every servedInterval, since the API server does not
	// end a watch whose permission is removed. One that is not served is checked every
	// unservedInterval: it is served within that time after its permissions are there.
	servedInterval   = 30 * time.Second
	unservedInterval = 10 * time.Second

	// clusterInterval is how often the whole cluster is checked while it is served.
	clusterInterval = 10 * time.Minute

	// intervalJitter lengthens each interval by a random part of at most this factor, so that
	// many namespaces are not checked at the same moment.
	intervalJitter = 0.5

	// recheckDelay is how soon after its first refusal a namespace is checked again. An API
	// server that has just started may refuse what it permits a moment later.
	recheckDelay = 2 * time.Second

	// fillTimeout is how long a namespace may delay that the process becomes ready for the others.
	fillTimeout = 30 * time.Second
)

// namespaceRunner serves one namespace for as long as its objects can be listed and watched,
// or the whole cluster when the namespace is empty.
type namespaceRunner struct {
	namespace string
	// check returns missingPermissionsError, another error as long as there is no answer, or nil
	// and whether the API server selects CertificateRequests by the group of their issuer.
	check func(ctx context.Context, namespace string) (selectable bool, err error)
	// serve begins to fill the caches. They report a refusal by refused.
	serve func(ctx context.Context, namespace string, selectable bool, refused func()) (*servedScope, error)
	// report gets every state, also when it has not changed.
	report func(namespace string, s namespaceState)

	current     *servedScope // nil while the namespace is not served
	refused     chan struct{}
	selectable  bool      // at the last answer
	unconfirmed bool      // the last answer was the first refusal
	since       time.Time // when the namespace began to wait for an answer or its caches
}

// servedScope is a namespace that is served once filled is closed without an error.
type servedScope struct {
	filled     chan struct{}
	err        error // why the controllers could not be set up
	stop       func()
	selectable bool // when the caches were set up
	reported   bool // that it is served
}

// run returns when ctx ends, with an error when the controllers cannot be set up.
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

// ask checks the namespace. It stops caches that watch what the API server does not support any
// more, or more than necessary, because cert-manager's CRDs were replaced.
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

// follow does what the answer of the API server asks for.
func (r *namespaceRunner) follow(ctx context.Context, answer error) (err error) {
	missing := missingPermissionsError{}
	refused := errors.As(answer, &missing)
	r.unconfirmed = refused && r.isFirstRefusal()
	switch {
	case r.unconfirmed:
	case refused:
		r.leaveOut(missing)
	case r.filled():
		if r.current.err != nil {
			return r.current.err
		}
		r.current.reported = true
		r.report(r.namespace, namespaceState{})
	case r.current == nil && answer == nil:
		r.since = time.Now()
		r.current, err = r.serve(ctx, r.namespace, r.selectable, r.noteRefusal)
		fallthrough
	default:
		reason := "filling the caches"
		if answer != nil {
			reason = answer.Error()
		}
		r.report(r.namespace, namespaceState{notServed: reason, leftOut: time.Since(r.since) >= fillTimeout})
	}
	return err
}

// isFirstRefusal returns whether a refusal is the first one in a row for caches and controllers.
func (r *namespaceRunner) isFirstRefusal() bool { return r.current != nil && !r.unconfirmed }

// leaveOut ends the caches and controllers, and reports that when it is done.
func (r *namespaceRunner) leaveOut(missing missingPermissionsError) {
	if r.namespace != "" { // the caches of the whole cluster are kept
		r.stop()
	}
	r.report(r.namespace, namespaceState{notServed: missing.remedy(r.namespace), leftOut: true})
	r.since = time.Now()
}

func (r *namespaceRunner) filled() bool { return r.current != nil && isClosed(r.current.filled) }

func (r *namespaceRunner) served() bool { return r.current != nil && r.current.reported }

func (r *namespaceRunner) stop() {
	if r.current != nil {
		r.current.stop()
		r.current = nil
	}
}

// noteRefusal makes the next check come at once.
func (r *namespaceRunner) noteRefusal() {
	select {
	case r.refused <- struct{}{}:
	default:
	}
}

// pause returns when the namespace is to be checked again, or with true when its caches are
// full.
func (r *namespaceRunner) pause(ctx context.Context, answer error) bool {
	var filled chan struct{}
	if r.current != nil && !r.served() {
		filled = r.current.filled
	}
	refused := r.refused
	if r.unconfirmed {
		refused = nil // the other caches may be refused at the same moment
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
