// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package experiments measures the plugin beside cert-manager's in-tree SelfSigned issuer, and
// beside what any signer has to pay, on one real control plane, in turn.
//
// All contestants sign the same kind of request: each has its own Secret with its own key,
// and every write passes cert-manager's webhook. The signers are processes of their own. The
// benchmark makes the requests, and cert-manager's approver approves those that come while a
// signer runs.
package experiments

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/build"
)

// The experiments.
const (
	// Online makes requests as fast as can be while the signer runs; cert-manager approves them.
	Online = "online"
	// Backlog starts the signer with approved requests waiting for it.
	Backlog = "backlog"
	// Trickle makes ten requests a second while the signer runs; cert-manager approves them.
	Trickle = "trickle"
	// Secrets is Backlog among unrelated Secrets.
	Secrets = "secrets"
	// Scale is Backlog in several sizes.
	Scale = "scale"
)

// Experiments returns all of them.
func Experiments() []string { return []string{Online, Backlog, Trickle, Secrets, Scale} }

// Options say what is measured; all numbers have to be set.
type Options struct {
	// Requests is how many requests are signed in Online, Backlog and Secrets. Trickle has a
	// fifth as many.
	Requests int
	// Rounds is how often everything is measured.
	Rounds int
	// Only are the experiments.
	Only []string
	// ForeignSecrets is how many unrelated Secrets, of 8 KiB each, there are in Secrets.
	ForeignSecrets int
	// ScaleSizes are the numbers of requests in Scale.
	ScaleSizes []int
	// Race takes the plugin with the race detector, which other tests have built already. Its
	// times mean nothing.
	Race bool
	// Profiles is an existing directory for CPU profiles of the API server, one for each
	// measurement; empty: none are taken. They slow it down.
	Profiles string
	// Report receives progress.
	Report build.Reporter
}

// Validate returns what is wrong with the options.
func (o Options) Validate() error {
	if o.Requests < 5 || o.Rounds < 1 || o.ForeignSecrets < 1 {
		return fmt.Errorf("%d requests, %d rounds, %d foreign Secrets: want at least 5, 1 and 1", o.Requests, o.Rounds, o.ForeignSecrets)
	}
	for _, size := range o.ScaleSizes {
		if size < 1 {
			return fmt.Errorf("size %d: want at least 1", size)
		}
	}
	for _, name := range o.Only {
		if !slices.Contains(Experiments(), name) {
			return fmt.Errorf("unknown experiment %q: want some of %s", name, strings.Join(Experiments(), ", "))
		}
	}
	return nil
}

func (o Options) runs(experiment string) bool { return slices.Contains(o.Only, experiment) }

func (o Options) trickleRequests() int { return o.Requests / 5 }

// defaultFlagsRequests is small: at its default flags the in-tree issuer signs five
// requests a second.
func (o Options) defaultFlagsRequests() int { return max(o.Requests/10, 5) }

// What one request costs on 2 cores, in all that is done with it, and what one measurement
// costs beside its requests.
const (
	timePerRequest = 14 * time.Millisecond
	timePerRun     = 7 * time.Second
	timePerSecret  = 3 * time.Millisecond
	timeToStart    = 30 * time.Second
)

// Estimate returns about how long it takes on 2 cores, when all programs are built.
func (o Options) Estimate() time.Duration {
	var once, round time.Duration
	run := func(requests int) time.Duration {
		return timePerRun + time.Duration(requests)*timePerRequest
	}
	if o.runs(Online) {
		round += 3*run(o.Requests) + run(o.defaultFlagsRequests()) + time.Duration(o.defaultFlagsRequests())*time.Second/5
	}
	if o.runs(Backlog) {
		round += 4 * run(o.Requests)
	}
	if o.runs(Trickle) {
		round += 2 * (run(o.trickleRequests()) + time.Duration(o.trickleRequests())*trickleInterval)
	}
	if o.runs(Secrets) {
		round += 2 * run(o.Requests)
		once += time.Duration(o.ForeignSecrets) * timePerSecret
	}
	if o.runs(Scale) {
		for _, size := range o.ScaleSizes {
			round += run(size)
		}
	}
	return timeToStart + once + time.Duration(o.Rounds)*round
}
