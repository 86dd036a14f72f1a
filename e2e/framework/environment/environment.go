// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package environment assembles the whole environment that the demo, the playground and the
// end-to-end tests use: a real control plane, the real cert-manager, and the plugin
// installed from deploy/.
package environment

import (
	"context"
	"errors"
	"fmt"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
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

// startTimeout bounds how long one part may take to get ready, once it is built.
const startTimeout = 2 * time.Minute

// Options say what is started.
type Options struct {
	// Report receives progress.
	Report build.Reporter
	// Overlay is the kustomization that is installed; empty: the default overlay.
	Overlay string
	// Race builds the plugin with the race detector.
	Race bool
	// CertManager says how cert-manager runs.
	CertManager certmanager.Options
	// WithoutCertManager leaves cert-manager to the caller.
	WithoutCertManager bool
	// WithoutIssuer leaves installing and starting the plugin to the caller.
	WithoutIssuer bool
	// IssuerArgs are added to the Deployment's arguments.
	IssuerArgs []string
	// AuditLog makes the API server write down every request.
	AuditLog bool
	// EtcdArgs are added to etcd's arguments.
	EtcdArgs []string
	// FaultProxy puts a proxy between the API server and the plugin.
	FaultProxy bool
	// ControllerManager adds kube-controller-manager, without which no namespace is deleted.
	ControllerManager bool
	// SecretScan makes Stop fail when a private key is in what the plugin has written.
	SecretScan bool
}

// Environment is a running environment. Parts that were left out are nil.
type Environment struct {
	ControlPlane *controlplane.ControlPlane
	CertManager  *certmanager.Installation
	Installation *issuer.Installation
	Issuer       *issuer.Replica
	Proxy        *faultproxy.Proxy
	Client       client.WithWatch // as cluster administrator

	// Binary is the plugin's program.
	Binary string

	keys     *secretscan.Finder // nil without SecretScan
	endWatch context.CancelFunc // ends the watch that fills keys
}

// Start starts everything and returns when all of it is ready.
func Start(ctx context.Context, options Options) (*Environment, error) {
	e := &Environment{}
	if err := e.start(ctx, options); err != nil {
		return nil, errors.Join(err, e.Stop())
	}
	return e, nil
}

func (e *Environment) start(ctx context.Context, options Options) error {
	program := build.Issuer()
	if options.Race {
		program = build.IssuerRace()
	}
	var err error
	if e.Binary, err = build.Build(ctx, program, options.Report); err != nil {
		return err
	}
	if e.ControlPlane, err = controlplane.Start(ctx, controlplane.Options{
		Report: options.Report, AuditLog: options.AuditLog, ControllerManager: options.ControllerManager,
		EtcdArgs: options.EtcdArgs,
	}); err != nil {
		return err
	}
	if e.Client, err = Client(e.ControlPlane.AdminConfig()); err != nil {
		return err
	}
	if options.SecretScan {
		if err := e.watchKeys(ctx); err != nil {
			return err
		}
	}
	if !options.WithoutCertManager {
		options.Report.Say("starting cert-manager: its controllers and its webhook")
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

func (e *Environment) startIssuer(ctx context.Context, options Options) error {
	overlay := options.Overlay
	if overlay == "" {
		overlay = issuer.DefaultOverlay
	}
	options.Report.Say("installing selfsigned-issuer from %s and starting it", overlay)
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

// stopTimeout is how long a process gets to stop by itself.
const stopTimeout = 10 * time.Second

// Stop stops everything that was started, and returns what did not stop cleanly.
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

// Client returns a client that knows every kind that is used here, without a rate limit.
func Client(config *rest.Config) (client.WithWatch, error) {
	config = rest.CopyConfig(config)
	config.QPS = -1
	return client.NewWithWatch(config, client.Options{Scheme: Scheme()})
}

// ClientAs returns such a client of somebody who may impersonate, taken for a user.
func ClientAs(config *rest.Config, user string) (client.WithWatch, error) {
	config = rest.CopyConfig(config)
	config.Impersonate = rest.ImpersonationConfig{UserName: user}
	return Client(config)
}

// Scheme returns the scheme of those kinds.
func Scheme() *runtime.Scheme {
	scheme := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(scheme))
	utilruntime.Must(cmapi.AddToScheme(scheme))
	utilruntime.Must(apiextensions.AddToScheme(scheme))
	utilruntime.Must(selfsigned.AddToScheme(scheme))
	return scheme
}
