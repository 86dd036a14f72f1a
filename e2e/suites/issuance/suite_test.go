// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package issuance_test runs the plugin's real binary, with the race detector, beside the real
// cert-manager on a real control plane, under the permissions that deploy/ ships.
package issuance_test

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/environment"
)

// env is the environment that all tests share. Each test works in namespaces of its own; the
// few that change what is shared do not run in parallel and put it back.
var env *environment.Environment

// grace is shorter than the default, so that a request with a wrong key fails soon.
const grace = 5 * time.Second

// maxCertificateSize is larger than the default.
const maxCertificateSize = 60000

// issuerArgs are added to those of the Deployment.
var issuerArgs = []string{"--key-mismatch-grace-period=" + grace.String(), fmt.Sprintf("--max-certificate-size=%d", maxCertificateSize), "--log-format=json"}

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) (code int) {
	start := time.Now()
	say := func(format string, args ...any) {
		fmt.Printf("[%5.1fs] %s\n", time.Since(start).Seconds(), fmt.Sprintf(format, args...))
	}
	var err error
	env, err = environment.Start(context.Background(), environment.Options{
		Report:     say,
		Race:       true,
		Overlay:    "e2e/suites/testdata/kubernetes-csrs",
		IssuerArgs: issuerArgs,
		FaultProxy: true, // for the requests that a test chooses
		FindLeaks:  true,
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, "the environment did not start:", err)
		return 1
	}
	say("the environment is ready, with cert-manager %s", env.CertManager.Version())
	defer func() {
		if code != 0 {
			env.ControlPlane.MarkFailed()
		}
		if err := env.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}()
	return m.Run()
}
