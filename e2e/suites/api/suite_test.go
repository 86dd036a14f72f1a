// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package api tests the CRDs in deploy/crds with an API server: every rule of the schema, and the
// columns of kubectl.
package api

import (
	"context"
	"fmt"
	"os"
	"testing"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/controlplane"
)

// The API server of all tests, which do not change its objects.
var (
	config *rest.Config
	admin  client.Client
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) (code int) {
	control, err := controlplane.Start(context.Background(), controlplane.Options{
		Report: func(format string, args ...any) { fmt.Printf(format+"\n", args...) },
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, "the control plane did not start:", err)
		return 1
	}
	defer func() {
		if code != 0 {
			control.MarkFailed()
		}
		if err := control.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}()
	config = control.AdminConfig()
	if admin, err = client.New(config, client.Options{}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	// This fails if the rules exceed the API server's budget for their cost.
	if _, err := envtest.InstallCRDs(config, envtest.CRDInstallOptions{
		Paths: []string{"../../../deploy/crds"}, ErrorIfPathMissing: true,
	}); err != nil {
		fmt.Fprintln(os.Stderr, "the CRDs cannot be installed:", err)
		return 1
	}
	return m.Run()
}
