// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package issuance_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/issuer"
)

// Limits in docs/monitoring.md.
const (
	stopsWithin         = 5 * time.Second
	handsOverWithin     = 2 * time.Second
	replacedWithin      = 18 * time.Second
	outlivesAPIServerBy = 20 * time.Second // longer than the duration of a Lease
)

// The tests in this file stop the leader, so they must not run in parallel.

// TestStoppedLeaderHandsOver stops the leader of two replicas while requests are created.
func TestStoppedLeaderHandsOver(t *testing.T) {
	leader, standby := env.Issuer, startStandby(t)
	checkLeading(t, leader, true)
	checkLeading(t, standby, false)
	namespace, key := newNamespace(t), newKey(t)
	createKeySecret(t, namespace, key)
	barrier(t, namespace, key)

	var requests []*cmapi.CertificateRequest
	request := func() {
		requests = append(requests, newRequest(t, namespace, key))
		env.Create(t, requests[len(requests)-1])
	}
	for range 20 {
		request()
	}
	before, start, stopped := holder(t), time.Now(), make(chan error, 1)
	go func() { stopped <- leader.Stop(stopsWithin) }()
	for range 20 {
		request()
	}
	if err := <-stopped; err != nil || leader.ExitError() != nil {
		t.Errorf("the leader ended with %v (%v), want exit status 0", leader.ExitError(), err)
	}
	t.Logf("stopped after %s", time.Since(start))
	env.Issuer = standby
	checkTakenOver(t, before, start, handsOverWithin)
	// Events that the leader has not sent yet are lost.
	for _, request := range requests {
		awaitReady(t, request, cmmeta.ConditionTrue, "Issued", "Secret "+namespace+"/key")
	}
	checkLeading(t, standby, true)
	for _, line := range loggedLines(t, leader.LogPath(), namespace, isError) {
		t.Errorf("a request was canceled: %s", line)
	}
}

// TestKilledLeaderIsReplaced kills the leader of two replicas.
func TestKilledLeaderIsReplaced(t *testing.T) {
	leader, standby := env.Issuer, startStandby(t)
	before, start := holder(t), time.Now()
	if err := leader.Kill(); err != nil {
		t.Fatal(err)
	}
	env.Issuer = standby
	namespace, key := newNamespace(t), newKey(t)
	createKeySecret(t, namespace, key)
	request := newRequest(t, namespace, key)
	env.Create(t, request)
	checkTakenOver(t, before, start, replacedWithin)
	checkIssued(t, request)
}

// outlivesTheAPIServer stops the API server for longer than the duration of a Lease. The leader
// keeps running and is still the leader afterwards. It needs its own environment, because all
// clients reconnect slowly.
func outlivesTheAPIServer(t *testing.T) {
	before := holder(t)
	if err := env.ControlPlane.APIServer().Kill(); err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for start := time.Now(); time.Since(start) < outlivesAPIServerBy; <-tick.C {
		if status, body := issuer.Get(t.Context(), env.Issuer.HealthURL+"/healthz"); status != http.StatusOK {
			t.Errorf("%s after the end of the API server, /healthz returns %d: %s", time.Since(start), status, body)
			break
		}
	}
	if err := env.ControlPlane.RestartAPIServer(t.Context()); err != nil {
		t.Fatal(err)
	}
	back := time.Now()
	env.Eventually(t, "renewing the Lease", func(context.Context) error {
		if renewed := lease(t).Spec.RenewTime; renewed.Time.Before(back) {
			return errors.New("last renewed at " + renewed.String())
		}
		return nil
	})
	if after := holder(t); after != before {
		t.Errorf("the Lease went from %s to %s", before, after)
	}
	if err := env.Issuer.Err(); err != nil {
		t.Error(err)
	}
}

// startStandby starts another replica and waits until it is ready.
func startStandby(t *testing.T) *issuer.Replica {
	t.Helper()
	replica, err := env.Installation.Start(t.Context(), env.Binary, fmt.Sprintf("standby-%s", t.Name()), issuerArgs...)
	if err != nil {
		t.Fatal(err)
	}
	if err := replica.AwaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	return replica
}

func lease(t *testing.T) *coordinationv1.Lease {
	t.Helper()
	lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{
		Namespace: env.Installation.Deployment.Namespace, Name: "selfsigned-issuer.selfsigned.cert-manager.io",
	}}
	env.Get(t, lease)
	return lease
}

// holder returns the holder of the Lease, or an empty string.
func holder(t *testing.T) string {
	t.Helper()
	if identity := lease(t).Spec.HolderIdentity; identity != nil {
		return *identity
	}
	return ""
}

// checkTakenOver waits until another replica than before holds the Lease, and checks when it
// acquired it.
func checkTakenOver(t *testing.T, before string, start time.Time, within time.Duration) {
	t.Helper()
	env.Eventually(t, "taking over", func(context.Context) error {
		if now := holder(t); now == "" || now == before {
			return errors.New("the holder is " + now)
		}
		return nil
	})
	took := lease(t).Spec.AcquireTime.Sub(start)
	t.Logf("the standby took over after %s", took)
	if took > within {
		t.Errorf("the standby took over after %s, want at most %s", took, within)
	}
}

// checkLeading waits until a replica's metrics show whether it is the leader: only the leader
// reports pending requests.
func checkLeading(t *testing.T, replica *issuer.Replica, leading bool) {
	t.Helper()
	status, value := `leader_election_master_status{name="selfsigned-issuer.selfsigned.cert-manager.io"} `, "0"
	if leading {
		value = "1"
	}
	env.Eventually(t, "metrics of "+replica.Name(), func(ctx context.Context) error {
		_, text := issuer.Get(ctx, replica.MetricsURL+"/metrics")
		if !strings.Contains(text, status+value) || !strings.Contains(text, "selfsigned_issuer_ready 1") ||
			strings.Contains(text, "selfsigned_issuer_requests_waiting{") != leading {
			return fmt.Errorf("want %s%s and to be ready, got\n%s", status, value, text)
		}
		return nil
	})
}
