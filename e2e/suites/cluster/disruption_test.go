// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build clustertest

package cluster

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
)

// testKilled deletes all Pods at once, without waiting for their end.
func (i *installation) testKilled(t *testing.T) {
	victims := i.pods(t)
	args := []string{"delete", "pods", "-n", i.deployment.Namespace, "--grace-period=0", "--force"}
	killed := map[string]bool{}
	for _, pod := range victims {
		args = append(args, pod.Name)
		killed[pod.Name] = true
	}
	start := time.Now()
	run(t, args...)
	r := newRequests(t, i.namespace)
	expect.NoError(t, r.create(t.Context()))
	r.awaitSigned(t)
	t.Logf("a request was signed %.1f s after all Pods were killed", time.Since(start).Seconds())
	for _, pod := range i.pods(t) {
		expect.True(t, !killed[pod.Name], "Pod %s is still there", pod.Name)
	}
	i.testAvailable(t)
}

// testRollingUpdate replaces all Pods while requests are created.
func (i *installation) testRollingUpdate(t *testing.T) {
	r := newRequests(t, i.namespace)
	load, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- r.createUntil(load) }()

	start := time.Now()
	deployment := "deployment/" + i.deployment.Name
	run(t, "rollout", "restart", "-n", i.deployment.Namespace, deployment)
	run(t, "rollout", "status", "-n", i.deployment.Namespace, deployment, "--timeout="+timeout.String())
	rolled := time.Since(start)

	// The new Pods take over at the latest when the old ones have ended.
	env.Eventually(t, "Pods", func(context.Context) error {
		if n := len(i.pods(t)); n != i.replicas {
			return fmt.Errorf("%d Pods, want %d", n, i.replicas)
		}
		return nil
	})
	stop()
	expect.NoError(t, <-ended)
	slowest := r.awaitSigned(t)
	t.Logf("%d requests came during the update of %.1f s; all are signed, the slowest after about %.0f s", r.made, rolled.Seconds(), slowest.Seconds())
	for _, pod := range i.pods(t) {
		for _, container := range pod.Status.ContainerStatuses {
			expect.True(t, container.RestartCount == 0, "Pod %s was restarted %d times", pod.Name, container.RestartCount)
		}
	}
}
