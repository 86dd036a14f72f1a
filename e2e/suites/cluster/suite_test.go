// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build clustertest

package cluster

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/certmanager"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/controlplane"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/environment"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/manifest"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/testenv"
)

// env is the cluster. Its nodes can run image.
var (
	env     = &testenv.Environment{Environment: &environment.Environment{}}
	kubectl environment.Kubectl
	image   = os.Getenv("IMAGE")

	// monitoring are the CRDs of the Prometheus operator, if they were missing.
	monitoring []*unstructured.Unstructured
)

const (
	// startTimeout includes building cert-manager.
	startTimeout = 10 * time.Minute
	// timeout is how long a test waits.
	timeout = 3 * time.Minute
)

func TestMain(m *testing.M) { os.Exit(runSuite(m)) }

func runSuite(m *testing.M) (code int) {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	start := time.Now()
	report := func(format string, args ...any) {
		fmt.Printf("[%5.1fs] %s\n", time.Since(start).Seconds(), fmt.Sprintf(format, args...))
	}
	err := attach(ctx, report)
	if err != nil {
		fmt.Fprintln(os.Stderr, "the suite cannot run:", err)
		code = 1
	} else {
		code = m.Run()
	}
	if code != 0 && env.ControlPlane != nil {
		env.ControlPlane.MarkFailed()
	}
	if err := detach(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	return code
}

// attach connects to the cluster, and installs missing parts.
func attach(ctx context.Context, report func(string, ...any)) (err error) {
	if image == "" {
		return fmt.Errorf("IMAGE is not set: it is the image to test")
	}
	if env.ControlPlane, err = controlplane.Attach(report); err != nil {
		return err
	}
	if env.Client, err = environment.Client(env.ControlPlane.AdminConfig()); err != nil {
		return err
	}
	if kubectl, err = env.Kubectl(ctx, report); err != nil {
		return err
	}
	installed, err := exists(ctx, "selfsignedissuers.selfsigned.cert-manager.io")
	if err != nil {
		return err
	}
	if installed {
		return fmt.Errorf("the cluster has selfsigned-issuer, which the suite would remove: use another cluster")
	}
	if err := installMonitoring(ctx, report); err != nil {
		return err
	}
	return installCertManager(ctx, report)
}

// installCertManager starts cert-manager if the cluster has none.
func installCertManager(ctx context.Context, report func(string, ...any)) error {
	installed, err := exists(ctx, "certificaterequests.cert-manager.io")
	if installed || err != nil {
		return err
	}
	report("the cluster has no cert-manager: starting it as processes on this machine, which the API server must reach at 127.0.0.1")
	env.CertManager, err = certmanager.Install(ctx, env.ControlPlane, certmanager.Options{Report: report})
	return err
}

// installMonitoring installs the CRDs of the Prometheus operator if the cluster has none.
func installMonitoring(ctx context.Context, report func(string, ...any)) error {
	installed, err := exists(ctx, "servicemonitors.monitoring.coreos.com")
	if installed || err != nil {
		return err
	}
	report("the cluster has no Prometheus operator: installing its CRDs")
	content, err := os.ReadFile("testdata/prometheus-operator.yaml")
	if err != nil {
		return err
	}
	if monitoring, err = manifest.Decode(content); err != nil {
		return err
	}
	return manifest.ApplyCRDs(ctx, env.ControlPlane.AdminConfig(), monitoring...)
}

// exists reports whether a CustomResourceDefinition exists.
func exists(ctx context.Context, name string) (bool, error) {
	crd := &apiextensions.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Name: name}}
	err := env.Client.Get(ctx, client.ObjectKeyFromObject(crd), crd)
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	return err == nil, err
}

// detach removes what attach has installed.
func detach() error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	for _, crd := range monitoring {
		if err := env.Client.Delete(ctx, crd); err != nil {
			return err
		}
	}
	if env.CertManager != nil {
		if err := env.CertManager.Uninstall(ctx); err != nil {
			return err
		}
		env.CertManager = nil
	}
	return env.Stop()
}

// run runs kubectl, which must succeed.
func run(t *testing.T, args ...string) {
	t.Helper()
	if _, err := kubectl.Run(t.Context(), args...); err != nil {
		t.Fatal(err)
	}
}

// show runs kubectl and logs its output if the test has failed.
func show(t *testing.T, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	output, err := kubectl.Run(ctx, args...)
	if err != nil {
		t.Error(err)
	} else if t.Failed() {
		t.Logf("kubectl %v:\n%s", args, output)
	}
}
