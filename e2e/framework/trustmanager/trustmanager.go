// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package trustmanager installs and runs trust-manager in a test cluster: the program of
// e2e/versions/trustmanager, with the CRDs, permissions, webhook and arguments of its Helm chart.
package trustmanager

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/build"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/chart"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/controlplane"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/issuer"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/manifest"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/process"
)

const (
	name = "trust-manager"
	// namespace is that of trust-manager and of its sources, as in its documentation.
	namespace = "cert-manager"
	host      = "127.0.0.1"

	// startTimeout is how long trust-manager may take to get ready, without its build.
	startTimeout = 2 * time.Minute
	stopTimeout  = 10 * time.Second
)

// TrustManager is a running trust-manager.
type TrustManager struct {
	process *process.Process
	cluster *controlplane.ControlPlane
	objects []*unstructured.Unstructured // of the chart

	webhookPort, healthPort int
}

// Install installs and starts trust-manager, and waits until it is ready. The caller stops it.
func Install(ctx context.Context, c *controlplane.ControlPlane, report build.Reporter) (*TrustManager, error) {
	binary, err := build.Build(ctx, build.TrustManager(), report)
	if err != nil {
		return nil, err
	}
	m := &TrustManager{cluster: c}
	for _, step := range []func(context.Context) error{m.choosePorts, m.render, m.apply} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	if err := m.start(ctx, binary); err != nil {
		return nil, err
	}
	if err := m.awaitReady(ctx); err != nil {
		return nil, errors.Join(err, m.Stop())
	}
	return m, nil
}

func (m *TrustManager) choosePorts(context.Context) (err error) {
	if m.webhookPort, err = controlplane.FreePort(); err != nil {
		return err
	}
	m.healthPort, err = controlplane.FreePort()
	return err
}

func (m *TrustManager) render(ctx context.Context) error {
	module, err := build.FindModule(ctx, "trustmanager", "github.com/cert-manager/trust-manager")
	if err != nil {
		return err
	}
	m.objects, err = chart.Release{Name: name, Namespace: namespace, Values: map[string]any{
		// The publicly trusted CAs come from an image.
		"defaultPackage": map[string]any{"enabled": false},
		"app": map[string]any{
			"readinessProbe": map[string]any{"port": m.healthPort},
			"webhook":        map[string]any{"host": host, "port": m.webhookPort},
		},
	}}.Render(module)
	return err
}

func (m *TrustManager) directory() string { return filepath.Join(m.cluster.Dir(), name) }

// apply applies the objects of the chart that a process needs.
func (m *TrustManager) apply(ctx context.Context) error {
	config := m.cluster.AdminConfig()
	if err := manifest.ApplyCRDs(ctx, config, chart.OfKind(m.objects, "CustomResourceDefinition")...); err != nil {
		return err
	}
	if err := manifest.Apply(ctx, config, chart.RBAC(namespace, m.objects)...); err != nil {
		return err
	}
	if err := os.MkdirAll(m.directory(), 0o700); err != nil {
		return err
	}
	address := net.JoinHostPort(host, strconv.Itoa(m.webhookPort))
	serving := chart.ServingFiles{Cert: filepath.Join(m.directory(), "tls.crt"), Key: filepath.Join(m.directory(), "tls.key")}
	caBundle, err := serving.Write(address)
	if err != nil {
		return err
	}
	configurations := chart.OfKind(m.objects, "ValidatingWebhookConfiguration")
	for _, configuration := range configurations {
		if err := errors.Join(chart.Redirect(configuration, address), chart.SetCABundle(configuration, caBundle)); err != nil {
			return err
		}
	}
	return manifest.Apply(ctx, config, configurations...)
}

// start runs the program with the arguments of the Deployment in the chart.
func (m *TrustManager) start(ctx context.Context, binary string) error {
	installed, err := issuer.Installed(m.cluster, m.objects)
	if err != nil {
		return err
	}
	args := installed.Deployment.Spec.Template.Spec.Containers[0].Args
	kubeconfig, err := m.cluster.ServiceAccountKubeconfig(ctx, namespace, name)
	if err != nil {
		return err
	}
	m.process, err = process.Start(process.Options{
		Name: name, Path: binary,
		Args:    append(args, "--kubeconfig="+kubeconfig, "--webhook-certificate-dir="+m.directory()),
		LogFile: filepath.Join(m.cluster.LogDir(), name+".log"),
	})
	return err
}

func (m *TrustManager) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	return m.process.Await(ctx, func(ctx context.Context) error {
		status, body := issuer.Get(ctx, fmt.Sprintf("http://%s/readyz", net.JoinHostPort(host, strconv.Itoa(m.healthPort))))
		if status != http.StatusOK {
			return errors.New(body)
		}
		return nil
	})
}

// Stop ends the process and leaves the installed objects in the cluster.
func (m *TrustManager) Stop() error { return m.process.Stop(stopTimeout) }
