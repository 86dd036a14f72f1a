// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"testing"
	"time"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
)

// TestAPIServerRestarted kills kube-apiserver and starts it again.
func TestAPIServerRestarted(t *testing.T) {
	underFault(t, 2*time.Second, func(t *testing.T) {
		expect.NoError(t, env.ControlPlane.RestartAPIServer(t.Context()))
	})
}

// TestEtcdPaused pauses etcd: the API server is running, but does not respond.
func TestEtcdPaused(t *testing.T) {
	frozen := 5 * time.Second
	if full() {
		frozen = 30 * time.Second
	}
	underFault(t, 2*time.Second, func(t *testing.T) {
		t.Logf("etcd is paused for %s", frozen)
		pauseEtcd(t, frozen)
	})
}

func pauseEtcd(t *testing.T, frozen time.Duration) {
	t.Helper()
	expect.NoError(t, env.ControlPlane.Etcd().Pause())
	pause(t, frozen)
	expect.NoError(t, env.ControlPlane.Etcd().Resume())
}

// TestEtcdRestarted kills etcd and starts it again with its data.
func TestEtcdRestarted(t *testing.T) {
	underFault(t, 2*time.Second, func(t *testing.T) {
		expect.NoError(t, env.ControlPlane.RestartEtcd(t.Context()))
	})
}

// underFault runs a replica, creates requests over a time during the fault, and checks their
// outcomes, and that the replica still runs.
func underFault(t *testing.T, spread time.Duration, fault func(t *testing.T)) {
	t.Helper()
	p := startReady(t, env.Installation)
	before := measure(t, p)
	eachRound(t, func(t *testing.T) {
		b := newBurst(t, *requests)
		b.storm(t, spread, func() {
			pause(t, spread/4)
			fault(t)
		})
		t.Logf("settled after %s", b.settle(t))
	})
	checkSteady(t, p, before)
}
