// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package faultproxy

import (
	"net/http"
	"regexp"
	"slices"
	"sync/atomic"
)

// Match reports whether a rule applies to a request.
type Match func(*http.Request) bool

// On matches requests by method ("" for any) and by a regular expression for the whole path.
func On(method, path string) Match {
	whole := regexp.MustCompile("^(?:" + path + ")$")
	return func(r *http.Request) bool {
		return (method == "" || r.Method == method) && whole.MatchString(r.URL.Path)
	}
}

// Rule is a fault that a Proxy injects.
type Rule struct {
	match Match
	fault Fault
	hits  atomic.Int64
	proxy *Proxy
}

// Inject injects a fault into the requests that match, until the rule is removed.
func (p *Proxy) Inject(match Match, fault Fault) *Rule {
	rule := &Rule{match: match, fault: fault, proxy: p}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rules = append(p.rules, rule)
	return rule
}

// Remove ends the fault for new requests. It may be called twice.
func (r *Rule) Remove() {
	r.proxy.mu.Lock()
	defer r.proxy.mu.Unlock()
	r.proxy.rules = slices.DeleteFunc(r.proxy.rules, func(other *Rule) bool { return other == r })
}

// Hits is the number of requests with the fault.
func (r *Rule) Hits() int { return int(r.hits.Load()) }
