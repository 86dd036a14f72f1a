// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package addon installs and runs other projects of cert-manager in a test cluster: programs that are
// built from source, with the CRDs, permissions, webhook and arguments of their Helm charts.
package addon

import (
	"context"
	"errors"
	"fmt"
	"maps"
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
	// namespace is that of the addons and of trust-manager's sources, as in their documentation.
	namespace = "cert-manager"
	host      = "127.0.0.1"

	// startTimeout is how long an addon may take to get ready, without its build.
	startTimeout = 2 * time.Minute
	stopTimeout  = 10 * time.Second
)

// Addon is a running addon.
type Addon struct {
	process *process.Process
	cluster *controlplane.ControlPlane
	program build.Program
	objects []*unstructured.Unstructured // of the chart

	webhookPort, healthPort int
}

// InstallTrustManager installs and starts trust-manager, and waits until it is ready. The caller stops it.
func InstallTrustManager(ctx context.Context, c *controlplane.ControlPlane, report build.Reporter) (*Addon, error) {
	a, err := prepare(c, build.TrustManager())
	if err != nil {
		return nil, err
	}
	// The publicly trusted CAs come from an image.
	values := map[string]any{"defaultPackage": map[string]any{"enabled": false}}
	return a, a.install(ctx, report, values, a.applyWebhook, "--webhook-certificate-dir="+a.directory())
}

// InstallApproverPolicy does the same with approver-policy, which is allowed to approve only for the given
// signers. Its webhook is not called, because its certificate is for a Service.
func InstallApproverPolicy(ctx context.Context, c *controlplane.ControlPlane, report build.Reporter, signers ...any) (*Addon, error) {
	a, err := prepare(c, build.ApproverPolicy())
	if err != nil {
		return nil, err
	}
	values := map[string]any{"approveSignerNames": signers}
	return a, a.install(ctx, report, map[string]any{"app": values}, a.applySecret,
		"--metrics-bind-address=0", "--readiness-probe-bind-address="+a.healthAddress(), "--leader-election-namespace="+namespace)
}

func prepare(c *controlplane.ControlPlane, program build.Program) (a *Addon, err error) {
	a = &Addon{cluster: c, program: program}
	if a.webhookPort, err = controlplane.FreePort(); err != nil {
		return nil, err
	}
	a.healthPort, err = controlplane.FreePort()
	return a, err
}

// install installs the addon with values of its chart, the objects of a further step, and further
// arguments.
func (a *Addon) install(ctx context.Context, report build.Reporter, values map[string]any, step func(context.Context) error, args ...string) error {
	binary, err := build.Build(ctx, a.program, report)
	if err != nil {
		return err
	}
	if err := errors.Join(a.render(ctx, values), os.MkdirAll(a.directory(), 0o700)); err != nil {
		return err
	}
	if err := a.apply(ctx); err != nil {
		return err
	}
	if err := step(ctx); err != nil {
		return err
	}
	if err := a.start(ctx, binary, args); err != nil {
		return err
	}
	if err := a.awaitReady(ctx); err != nil {
		return errors.Join(err, a.Stop())
	}
	return nil
}

func (a *Addon) render(ctx context.Context, values map[string]any) error {
	module, err := a.program.Source(ctx)
	if err != nil {
		return err
	}
	app := map[string]any{
		"readinessProbe": map[string]any{"port": a.healthPort},
		"webhook":        map[string]any{"host": host, "port": a.webhookPort},
	}
	if more, ok := values["app"].(map[string]any); ok {
		maps.Copy(app, more)
	}
	values["app"] = app
	a.objects, err = chart.Release{Name: a.program.Name, Namespace: namespace, Values: values}.Render(module)
	return err
}

func (a *Addon) directory() string { return filepath.Join(a.cluster.Dir(), a.program.Name) }

func (a *Addon) healthAddress() string { return net.JoinHostPort(host, strconv.Itoa(a.healthPort)) }

func (a *Addon) apply(ctx context.Context) error {
	config := a.cluster.AdminConfig()
	if err := manifest.ApplyCRDs(ctx, config, chart.OfKind(a.objects, "CustomResourceDefinition")...); err != nil {
		return err
	}
	return manifest.Apply(ctx, config, chart.RBAC(namespace, a.objects)...)
}

// applyWebhook registers a webhook that reads its certificate from files.
func (a *Addon) applyWebhook(ctx context.Context) error {
	address := net.JoinHostPort(host, strconv.Itoa(a.webhookPort))
	serving := chart.ServingFiles{Cert: filepath.Join(a.directory(), "tls.crt"), Key: filepath.Join(a.directory(), "tls.key")}
	caBundle, err := serving.Write(address)
	if err != nil {
		return err
	}
	configurations := chart.OfKind(a.objects, "ValidatingWebhookConfiguration")
	for _, configuration := range configurations {
		if err := errors.Join(chart.Redirect(configuration, address), chart.SetCABundle(configuration, caBundle)); err != nil {
			return err
		}
	}
	return manifest.Apply(ctx, a.cluster.AdminConfig(), configurations...)
}

// applySecret creates the Secret that the addon fills with the certificate of its webhook.
func (a *Addon) applySecret(ctx context.Context) error {
	return manifest.Apply(ctx, a.cluster.AdminConfig(), chart.OfKind(a.objects, "Secret")...)
}

// start runs the program with the ServiceAccount and the arguments of the Deployment in the chart.
func (a *Addon) start(ctx context.Context, binary string, args []string) error {
	installed, err := issuer.Installed(a.cluster, a.objects)
	if err != nil {
		return err
	}
	pod := installed.Deployment.Spec.Template.Spec
	kubeconfig, err := a.cluster.ServiceAccountKubeconfig(ctx, namespace, pod.ServiceAccountName)
	if err != nil {
		return err
	}
	a.process, err = process.Start(process.Options{
		Name: a.program.Name, Path: binary,
		Args:    append(append(pod.Containers[0].Args, "--kubeconfig="+kubeconfig), args...),
		LogFile: filepath.Join(a.cluster.LogDir(), a.program.Name+".log"),
	})
	return err
}

func (a *Addon) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	return a.process.Await(ctx, func(ctx context.Context) error {
		status, body := issuer.Get(ctx, fmt.Sprintf("http://%s/readyz", a.healthAddress()))
		if status != http.StatusOK {
			return errors.New(body)
		}
		return nil
	})
}

// Stop ends the process and leaves the installed objects in the cluster.
func (a *Addon) Stop() error { return a.process.Stop(stopTimeout) }
