// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/pprof"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/tools/clientcmd"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/cert-manager/selfsigned-issuer/controllers"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
)

// gracePeriod is the grace period for a wrong key.
const gracePeriod = 3 * time.Second

// TestClockJumps sets the clock an hour forward and back while requests are in flight. notBefore
// follows the clock, and waiting times do not change.
func TestClockJumps(t *testing.T) {
	eachRound(t, func(t *testing.T) {
		jumping := &jumpingClock{shown: map[time.Time]time.Time{}}
		runInProcess(t, jumping)
		for _, offset := range []time.Duration{time.Hour, 0, -time.Hour} {
			b := newBurst(t, *requests)
			b.offsets = []time.Duration{time.Hour, -time.Hour}
			wrong := b.newSigned(t, 1000)
			wrong.secret.Data["tls.key"] = encodeKey(t, newKey(t))
			expect.NoError(t, wrong.create(t.Context()))
			awaitReason(t, wrong, "Pending", gracePeriod.String())
			begin := time.Now()
			b.storm(t, time.Second, func() {
				pause(t, time.Second/2)
				jumping.set(offset)
			})
			took := b.settle(t)
			awaitReason(t, wrong, "Failed", "Secret "+b.namespace+"/"+wrong.name)
			waited := time.Since(begin)
			t.Logf("%s: settled after %s, a wrong key failed after %s", offset, took, waited)
			expect.True(t, waited >= gracePeriod-time.Second, "a wrong key failed after %s, want %s", waited, gracePeriod)
		}
		checkProfiles(t)
	})
}

// checkProfiles searches the profiles of the signing process for keys.
func checkProfiles(t *testing.T) {
	t.Helper()
	for _, profile := range pprof.Profiles() {
		for _, debug := range []int{1, 2} {
			var text bytes.Buffer
			expect.NoError(t, profile.WriteTo(&text, debug))
			for _, finding := range env.FindKeys("the profile "+profile.Name(), text.Bytes()) {
				t.Error(finding)
			}
		}
	}
}

// runInProcess runs the controllers in this process, with the ServiceAccount's permissions.
func runInProcess(t *testing.T, clock *jumpingClock) {
	t.Helper()
	deployment := env.Installation.Deployment
	kubeconfig, err := env.ControlPlane.ServiceAccountKubeconfig(t.Context(), deployment.Namespace, deployment.Spec.Template.Spec.ServiceAccountName)
	expect.NoError(t, err)
	rest, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	expect.NoError(t, err)
	rest.QPS = -1
	log, err := os.Create(filepath.Join(env.ControlPlane.LogDir(), "in-process.log"))
	expect.NoError(t, err)
	skip := true
	mgr, err := ctrl.NewManager(rest, ctrl.Options{
		Scheme:     controllers.Scheme(),
		Logger:     logr.FromSlogHandler(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.Level(-7)})),
		Metrics:    server.Options{BindAddress: "0"},
		Controller: config.Controller{SkipNameValidation: &skip}, // one manager per round
	})
	expect.NoError(t, err)
	hooks, err := controllers.SetupWithManager(mgr, controllers.Options{
		ClusterResourceNamespace: "cert-manager", Concurrency: 20, KubernetesCSRs: true, KeyMismatchGrace: gracePeriod, Clock: clock,
	})
	expect.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	stopped := make(chan error, 1)
	go func() { stopped <- mgr.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-stopped; err != nil {
			t.Error(err)
		}
		hooks.Flush()
		_ = log.Close()
	})
}

// jumpingClock is like a system clock: its time jumps, but durations do not.
type jumpingClock struct {
	mu     sync.Mutex
	offset time.Duration
	shown  map[time.Time]time.Time // the real time
}

func (c *jumpingClock) set(offset time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.offset = offset
}

func (c *jumpingClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	shown := now.Add(c.offset).Round(0)
	c.shown[shown] = now
	return shown
}

func (c *jumpingClock) Since(shown time.Time) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if then, known := c.shown[shown]; known {
		return time.Since(then)
	}
	return time.Now().Add(c.offset).Sub(shown)
}

// awaitReason waits for the Ready condition of a CertificateRequest.
func awaitReason(t *testing.T, r *tracked, reason, mention string) {
	t.Helper()
	r.want = outcome{reason, mention}
	env.Await(t, reason+" that mentions "+mention, r.object, func() bool { return r.problem() == "" })
}
