// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package faults injects faults while requests are in flight, with a control plane and
// cert-manager: nothing may be lost, done twice, or leaked. docs/reliability.md describes each
// test.
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
	requests = flag.Int("requests", 50, "requests in flight during each fault")
	rounds   = flag.Int("rounds", 1, "rounds of each fault")
	soak     = flag.Duration("soak", 0, "duration of TestSoak; 0: it is skipped")
)

// full reports whether waiting times are those in production, and not shortened for `make test`.
func full() bool { return *requests >= 500 }

// raceDetector reports whether the replicas use the race detector. It multiplies time and memory,
// so it is not used with many requests.
func raceDetector() bool { return !full() && *soak == 0 }

// env is the environment of all tests, which run in sequence, each with its own replicas.
var env *testenv.Environment

// certificates has all certificates of the environment.
var certificates *ledger

// clusterIssuer is a ClusterSelfSignedIssuer for all tests.
const clusterIssuer = "faults"

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	flag.Parse()
	ctrllog.SetLogger(logr.Discard()) // without the errors of the test's clients
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
	env = &testenv.Environment{Environment: started, Timeout: timeout}
	if env.Installation, err = issuer.Install(ctx, env.ControlPlane, "e2e/suites/testdata/kubernetes-csrs"); err != nil {
		return started, err
	}
	if certificates, err = watchCertificates(ctx, env.ControlPlane.AdminConfig()); err != nil {
		return started, err
	}
	err = env.Client.Create(ctx, &selfsigned.ClusterSelfSignedIssuer{ObjectMeta: metav1.ObjectMeta{Name: clusterIssuer}})
	return started, err
}
