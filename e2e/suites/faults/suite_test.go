// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package faults lets things go wrong while requests are in flight, on a real control
// plane with the real cert-manager: nothing may be lost, done twice, or leak. What each test
// shows is in docs/reliability.md.
package faults

import (
	"context"
	"flag"
	"io"
	"os"
	"testing"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"k8s.io/klog/v2"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	selfsigned "github.com/cert-manager/selfsigned-issuer/api/v1alpha1"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/build"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/environment"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/issuer"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/testenv"
)

// The defaults are for `make test`; `make test-faults` and `make soak` set more.
var (
	requests = flag.Int("requests", 50, "how many requests are in flight in each fault")
	rounds   = flag.Int("rounds", 1, "how often each fault happens")
	soak     = flag.Duration("soak", 0, "how long TestSoak lasts; 0: it is left out")
)

// full tells whether this is more than a part of `make test`: then waits have the length
// that they would have in production.
func full() bool { return *requests >= 500 }

// raceDetector tells whether the replicas run with it. It multiplies time and memory: with
// many requests it would be measured, and not the plugin.
func raceDetector() bool { return !full() && *soak == 0 }

// env is the environment that all tests share. They run one after the other, each with
// replicas of its own.
var env *testenv.Environment

// certificates has seen every certificate of the environment.
var certificates *ledger

// clusterIssuer is a ClusterSelfSignedIssuer that is always there.
const clusterIssuer = "faults"

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	flag.Parse()
	ctrllog.SetLogger(logr.Discard()) // what the test's own clients suffer from is no news
	klog.LogToStderr(false)
	klog.SetOutput(io.Discard)
	return testenv.RunSuite(m, startEnvironment)
}

func startEnvironment(ctx context.Context, report build.Reporter) (*environment.Environment, error) {
	started, err := environment.Start(ctx, environment.Options{
		Report:            report,
		Race:              raceDetector(),
		ControllerManager: true,
		WithoutIssuer:     true,
		SecretScan:        true,
	})
	if err != nil {
		return nil, err
	}
	env = &testenv.Environment{Environment: started}
	if env.Installation, err = issuer.Install(ctx, env.ControlPlane, "e2e/suites/testdata/kubernetes-csrs"); err != nil {
		return started, err
	}
	if certificates, err = watchCertificates(ctx, env.ControlPlane.AdminConfig()); err != nil {
		return started, err
	}
	err = env.Client.Create(ctx, &selfsigned.ClusterSelfSignedIssuer{ObjectMeta: metav1.ObjectMeta{Name: clusterIssuer}})
	return started, err
}
