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

// env is the cluster, image the one that its nodes can run.
var (
	env     = &testenv.Environment{Environment: &environment.Environment{}}
	kubectl environment.Kubectl
	image   = os.Getenv("IMAGE")

	// monitoring is what stands for the Prometheus operator, if it had to be installed.
	monitoring []*unstructured.Unstructured
)

// startTimeout leaves room for building cert-manager.
const startTimeout = 10 * time.Minute

func TestMain(m *testing.M) { os.Exit(runSuite(m)) }

func runSuite(m *testing.M) (code int) {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	start := time.Now()
	say := func(format string, args ...any) {
		fmt.Printf("[%5.1fs] %s\n", time.Since(start).Seconds(), fmt.Sprintf(format, args...))
	}
	err := attach(ctx, say)
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

// attach connects to the cluster, and installs what it lacks.
func attach(ctx context.Context, say func(string, ...any)) (err error) {
	if image == "" {
		return fmt.Errorf("IMAGE must name the image to test, which the cluster's nodes can run")
	}
	if env.ControlPlane, err = controlplane.Attach(say); err != nil {
		return err
	}
	if env.Client, err = environment.Client(env.ControlPlane.AdminConfig()); err != nil {
		return err
	}
	if kubectl, err = env.Kubectl(ctx, say); err != nil {
		return err
	}
	installed, err := exists(ctx, "selfsignedissuers.selfsigned.cert-manager.io")
	if err != nil {
		return err
	}
	if installed {
		return fmt.Errorf("there is a selfsigned-issuer in this cluster, which the suite would remove: use another cluster")
	}
	if err := installMonitoring(ctx, say); err != nil {
		return err
	}
	return installCertManager(ctx, say)
}

// installCertManager starts cert-manager in a cluster that has none.
func installCertManager(ctx context.Context, say func(string, ...any)) error {
	installed, err := exists(ctx, "certificaterequests.cert-manager.io")
	if installed || err != nil {
		return err
	}
	say("the cluster has no cert-manager: starting it as processes on this machine, which the API server has to reach at 127.0.0.1")
	env.CertManager, err = certmanager.Install(ctx, env.ControlPlane, certmanager.Options{Report: say})
	return err
}

// installMonitoring installs what stands for the Prometheus operator in a cluster that has none.
func installMonitoring(ctx context.Context, say func(string, ...any)) error {
	installed, err := exists(ctx, "servicemonitors.monitoring.coreos.com")
	if installed || err != nil {
		return err
	}
	say("the cluster has no Prometheus operator: installing its kinds alone")
	content, err := os.ReadFile("testdata/prometheus-operator.yaml")
	if err != nil {
		return err
	}
	if monitoring, err = manifest.Decode(content); err != nil {
		return err
	}
	return manifest.ApplyCRDs(ctx, env.ControlPlane.AdminConfig(), monitoring...)
}

// exists tells whether there is a CustomResourceDefinition.
func exists(ctx context.Context, name string) (bool, error) {
	crd := &apiextensions.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Name: name}}
	err := env.Client.Get(ctx, client.ObjectKeyFromObject(crd), crd)
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	return err == nil, err
}

// detach leaves the cluster as it was found.
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
