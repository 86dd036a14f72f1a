// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package environment starts the environment of the demo, the playground and the end-to-end tests:
// a control plane, cert-manager, and selfsigned-issuer installed from deploy/.
package environment

import (
	"context"
	"errors"
	"fmt"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	"golang.org/x/sync/errgroup"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	selfsigned "github.com/cert-manager/selfsigned-issuer/api/v1alpha1"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/build"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/certmanager"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/controlplane"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/faultproxy"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/issuer"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/secretscan"
)

// startTimeout is how long a program may take to get ready, without its build.
const startTimeout = 2 * time.Minute

// Options describe an environment.
type Options struct {
	// Report receives progress.
	Report build.Reporter
	// Overlay is the kustomization to install; empty: the default overlay.
	Overlay string
	// Kubectl builds kubectl, for the method of this name.
	Kubectl bool
	// Race builds selfsigned-issuer with the race detector.
	Race bool
	// CertManager configures cert-manager.
	CertManager certmanager.Options
	// WithoutCertManager does not install cert-manager.
	WithoutCertManager bool
	// WithoutIssuer does not install selfsigned-issuer.
	WithoutIssuer bool
	// IssuerArgs are added to the Deployment's arguments.
	IssuerArgs []string
	// AuditLog enables the audit log of the API server.
	AuditLog bool
	// EtcdArgs are added to etcd's arguments.
	EtcdArgs []string
	// FaultProxy adds a proxy between selfsigned-issuer and the API server.
	FaultProxy bool
	// ControllerManager adds kube-controller-manager, which deletes the content of namespaces.
	ControllerManager bool
	// SecretScan makes Stop fail if selfsigned-issuer has written a private key.
	SecretScan bool
}

// Environment is a running environment. Parts that are not started are nil.
type Environment struct {
	ControlPlane *controlplane.ControlPlane
	CertManager  *certmanager.Installation
	Installation *issuer.Installation
	Issuer       *issuer.Replica
	Proxy        *faultproxy.Proxy
	Client       client.WithWatch // as cluster administrator

	// Binary is the path of selfsigned-issuer.
	Binary string

	keys     *secretscan.Finder // nil without SecretScan
	endWatch context.CancelFunc // ends the watch that fills keys
}

// Start starts an environment and waits until it is ready.
func Start(ctx context.Context, options Options) (*Environment, error) {
	e := &Environment{}
	if err := e.start(ctx, options); err != nil {
		return nil, errors.Join(err, e.Stop())
	}
	return e, nil
}

func (e *Environment) start(ctx context.Context, options Options) error {
	if err := e.startControlPlane(ctx, options); err != nil {
		return err
	}
	var err error
	if e.Client, err = Client(e.ControlPlane.AdminConfig()); err != nil {
		return err
	}
	if options.SecretScan {
		if err := e.watchKeys(ctx); err != nil {
			return err
		}
	}
	if !options.WithoutCertManager {
		options.Report.Printf("starting cert-manager: its controllers and its webhook")
		options.CertManager.Report = options.Report
		if e.CertManager, err = certmanager.Install(ctx, e.ControlPlane, options.CertManager); err != nil {
			return err
		}
	}
	if options.WithoutIssuer {
		return nil
	}
	return e.startIssuer(ctx, options)
}

// startControlPlane builds all programs, one after the other, so that each shared package is compiled
// once. The control plane starts while the programs that run on it are built.
func (e *Environment) startControlPlane(ctx context.Context, options Options) error {
	buildCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	go build.Download(buildCtx, options.Report, build.KubeAPIServer(), build.CertManager())
	var builds errgroup.Group
	var err error
	if e.ControlPlane, err = controlplane.Start(ctx, controlplane.Options{
		Report: options.Report, AuditLog: options.AuditLog, ControllerManager: options.ControllerManager,
		EtcdArgs: options.EtcdArgs,
		OnBuilt:  func() { builds.Go(func() error { return e.build(buildCtx, options) }) },
	}); err != nil {
		cancel()
		_ = builds.Wait()
		return err
	}
	return builds.Wait()
}

func (e *Environment) build(ctx context.Context, options Options) error {
	if !options.WithoutCertManager {
		if _, err := build.Build(ctx, build.CertManager(), options.Report); err != nil {
			return err
		}
	}
	program := build.Issuer()
	if options.Race {
		program = build.IssuerRace()
	}
	var err error
	if e.Binary, err = build.Build(ctx, program, options.Report); err != nil || !options.Kubectl {
		return err
	}
	_, err = build.Build(ctx, build.Kubectl(), options.Report)
	return err
}

func (e *Environment) startIssuer(ctx context.Context, options Options) error {
	overlay := options.Overlay
	if overlay == "" {
		overlay = issuer.DefaultOverlay
	}
	options.Report.Printf("installing selfsigned-issuer from %s and starting it", overlay)
	var err error
	if e.Installation, err = issuer.Install(ctx, e.ControlPlane, overlay); err != nil {
		return err
	}
	if options.FaultProxy {
		if e.Proxy, err = faultproxy.Start(e.ControlPlane.AdminConfig()); err != nil {
			return err
		}
		e.Installation.Proxy = e.Proxy
	}
	if e.Issuer, err = e.Installation.Start(ctx, e.Binary, "selfsigned-issuer", options.IssuerArgs...); err != nil {
		return err
	}
	ready, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	return e.Issuer.AwaitReady(ready)
}

// stopTimeout is how long a process may take to end before it is killed.
const stopTimeout = 10 * time.Second

// Stop stops all programs and returns their errors.
func (e *Environment) Stop() error {
	var errs []error
	if e.keys != nil {
		errs = append(errs, e.ScanForKeys(context.Background()))
		e.endWatch()
	}
	if e.Issuer != nil {
		errs = append(errs, e.Issuer.Stop(stopTimeout))
	}
	if e.Proxy != nil {
		e.Proxy.Close()
	}
	if e.CertManager != nil {
		errs = append(errs, e.CertManager.Stop())
	}
	if e.ControlPlane != nil {
		errs = append(errs, e.ControlPlane.Stop())
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("stopping: %w", err)
	}
	return nil
}

// Client returns a client with Scheme and without a rate limit.
func Client(config *rest.Config) (client.WithWatch, error) {
	config = rest.CopyConfig(config)
	config.QPS = -1
	return client.NewWithWatch(config, client.Options{Scheme: Scheme()})
}

// ClientAs returns a client that impersonates a user.
func ClientAs(config *rest.Config, user string) (client.WithWatch, error) {
	config = rest.CopyConfig(config)
	config.Impersonate = rest.ImpersonationConfig{UserName: user}
	return Client(config)
}

// Scheme returns a scheme with all kinds that tests use.
func Scheme() *runtime.Scheme {
	scheme := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(scheme))
	utilruntime.Must(cmapi.AddToScheme(scheme))
	utilruntime.Must(apiextensions.AddToScheme(scheme))
	utilruntime.Must(selfsigned.AddToScheme(scheme))
	return scheme
}
