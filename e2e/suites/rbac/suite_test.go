// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package rbac compares the permissions that each installation grants with what its process
// asks of a real API server.
package rbac

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/certmanager"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/environment"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/monitoring"
)

// env has an API server that writes down every request, and the kinds of cert-manager and of
// the Prometheus operator, without either of these running: tests approve by themselves.
var env *environment.Environment

// The namespaces that the namespaced installations serve, and one that none of them does.
const (
	sandbox    = "sandbox"
	second     = "second"
	unserved   = "unserved"
	ownHome    = "selfsigned-issuer-system"
	clusterKey = "cert-manager" // where the keys of cluster issuers' Kubernetes CSRs are
)

// account is the process's user name.
const account = "system:serviceaccount:" + ownHome + ":selfsigned-issuer"

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) (code int) {
	ctx := context.Background()
	var err error
	env, err = environment.Start(ctx, environment.Options{
		Report: func(format string, args ...any) { fmt.Printf(format+"\n", args...) },
		Race:   true, AuditLog: true, WithoutCertManager: true, WithoutIssuer: true,
	})
	if err == nil {
		defer func() {
			if code != 0 {
				env.ControlPlane.MarkFailed()
			}
			if err := env.Stop(); err != nil {
				fmt.Fprintln(os.Stderr, err)
				code = 1
			}
		}()
		err = prepare(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "the environment did not start:", err)
		return 1
	}
	return m.Run()
}

func prepare(ctx context.Context) error {
	cm, err := certmanager.New(ctx, env.ControlPlane, certmanager.Options{})
	if err != nil {
		return err
	}
	if err := cm.InstallCRDs(ctx); err != nil {
		return err
	}
	if err := monitoring.InstallCRDs(ctx, env.ControlPlane.AdminConfig()); err != nil {
		return err
	}
	for _, name := range []string{ownHome, sandbox, second, unserved, clusterKey} {
		if err := env.Client.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}); err != nil {
			return err
		}
	}
	return nil
}

// timeout is how long a test waits for what has to come.
const timeout = time.Minute

// await polls until done returns an empty string; otherwise it fails with what it returned.
func await(t *testing.T, what string, done func(ctx context.Context) string) {
	t.Helper()
	expect.Soon(t, what, timeout, issuerLog, done)
}

func issuerLog() string { return "plugin's log:\n" + env.Issuer.Tail(15) }

func create(t *testing.T, object client.Object) {
	t.Helper()
	expect.Created(t, env.Client, object)
}

func get(t *testing.T, object client.Object) {
	t.Helper()
	expect.There(t, env.Client, object)
}
