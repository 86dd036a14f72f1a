// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package rbac compares the permissions of each installation with the requests of its process to an
// API server.
package rbac

import (
	"context"
	"os"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/build"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/certmanager"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/environment"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/monitoring"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/testenv"
)

// env has an API server with an audit log, and the CRDs of cert-manager and the Prometheus
// operator, which do not run: tests approve requests.
var env *testenv.Environment

// The namespaces that installations select, and one that none of them selects.
const (
	sandbox    = "sandbox"
	second     = "second"
	unserved   = "unserved"
	ownHome    = "selfsigned-issuer-system"
	clusterKey = "cert-manager" // of the keys of Kubernetes CSRs for cluster issuers
)

// account is the user name of the process.
const account = "system:serviceaccount:" + ownHome + ":selfsigned-issuer"

func TestMain(m *testing.M) { os.Exit(testenv.RunSuite(m, startEnvironment)) }

func startEnvironment(ctx context.Context, report build.Reporter) (*environment.Environment, error) {
	started, err := environment.Start(ctx, environment.Options{
		Report: report, Race: true, AuditLog: true, WithoutCertManager: true, WithoutIssuer: true,
	})
	if err != nil {
		return nil, err
	}
	env = &testenv.Environment{Environment: started}
	return started, prepare(ctx)
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
