// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package issuance_test runs selfsigned-issuer, with the race detector and the permissions in
// deploy/, together with cert-manager on a control plane.
package issuance_test

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/build"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/certmanager"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/controlplane"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/environment"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/testenv"
)

// env is the environment of all tests, which use their own namespaces. Tests that change shared
// objects do not run in parallel and restore them.
var env *testenv.Environment

// timeout is long, for slow machines.
const timeout = 6 * time.Minute

// grace is a short grace period, so that a request with a wrong key fails soon.
const grace = 5 * time.Second

// maxCertificateSize is larger than the default.
const maxCertificateSize = 60000

// issuerArgs are added to those of the Deployment.
var issuerArgs = []string{"--key-mismatch-grace-period=" + grace.String(), fmt.Sprintf("--max-certificate-size=%d", maxCertificateSize), "--log-format=json"}

// certManagerMetrics is the address of the metrics of cert-manager.
var certManagerMetrics string

func TestMain(m *testing.M) { os.Exit(testenv.RunSuite(m, startEnvironment)) }

func startEnvironment(ctx context.Context, report build.Reporter) (*environment.Environment, error) {
	port, err := controlplane.FreePort()
	if err != nil {
		return nil, err
	}
	certManagerMetrics = fmt.Sprintf("127.0.0.1:%d", port)
	started, err := environment.Start(ctx, environment.Options{
		Report:      report,
		Race:        true,
		Overlay:     "e2e/suites/testdata/kubernetes-csrs",
		IssuerArgs:  issuerArgs,
		FaultProxy:  true, // for the requests that a test chooses
		SecretScan:  true,
		CertManager: certmanager.Options{Args: []string{"--metrics-listen-address=" + certManagerMetrics}},
	})
	if err == nil {
		report("cert-manager is %s", started.CertManager.Version())
	}
	env = &testenv.Environment{Environment: started, Timeout: timeout}
	return started, err
}
