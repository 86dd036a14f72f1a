// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package certmanager

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"time"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/build"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/controlplane"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/process"
)

// stopTimeout is how long a process may take to end before it is killed.
const stopTimeout = 20 * time.Second

// Start builds the program if needed and starts it. It returns when the webhook works and the
// controllers' caches have synced, which needs the CRDs and the webhook configurations. After an
// error, no process runs. After Stop, it can be called again.
func (i *Installation) Start(ctx context.Context) error {
	binary, err := build.Build(ctx, build.CertManager(), i.options.Report)
	if err != nil {
		return err
	}
	identity, err := i.identityFlags(ctx)
	if err != nil {
		return err
	}
	if err = i.startAll(binary, identity); err == nil {
		err = i.waitReady(ctx)
	}
	if err != nil {
		return errors.Join(err, i.Stop())
	}
	i.started.Store(true)
	return nil
}

// child is one of cert-manager's processes.
type child struct {
	*process.Process
	// health is the address of the readiness endpoint; empty: no controllers
	health string
	// webhook is true if it serves the webhook
	webhook bool
}

func (i *Installation) startAll(binary string, identity []string) error {
	i.children = nil
	for _, program := range i.options.programs() {
		next := child{webhook: !program.noWebhook}
		flags := slices.Concat(i.options.flags(program), identity)
		if !program.webhookOnly {
			port, err := controlplane.FreePort()
			if err != nil {
				return err
			}
			next.health = loopback(port)
			flags = append(flags, "--healthz-listen-address="+next.health)
		}
		var err error
		if next.Process, err = i.start(program.name, binary, flags); err != nil {
			return err
		}
		i.children = append(i.children, next)
	}
	return nil
}

func (i *Installation) start(name, binary string, flags []string) (*process.Process, error) {
	return process.Start(process.Options{
		Name: name, Path: binary, Args: flags,
		LogFile:          filepath.Join(i.cluster.LogDir(), name+".log"),
		OnUnexpectedExit: i.childEnded,
	})
}

// childEnded keeps the logs. During Start, its error has the last lines instead.
func (i *Installation) childEnded(err error) {
	if !i.started.Load() {
		return
	}
	i.cluster.MarkFailed()
	if i.options.OnUnexpectedExit != nil {
		i.options.OnUnexpectedExit(err)
	}
}

// identityFlags set the program's accounts and the webhook's address and certificate.
func (i *Installation) identityFlags(ctx context.Context) ([]string, error) {
	controller, err := i.cluster.ServiceAccountKubeconfig(ctx, Namespace, ControllerServiceAccount)
	if err != nil {
		return nil, err
	}
	webhook, err := i.cluster.ServiceAccountKubeconfig(ctx, Namespace, WebhookServiceAccount)
	if err != nil {
		return nil, err
	}
	return []string{
		"--kubeconfig=" + controller, "--webhook-kubeconfig=" + webhook,
		"--webhook-address=" + i.webhookAddress,
		"--tls-cert-file=" + i.serving.Cert, "--tls-private-key-file=" + i.serving.Key,
	}, nil
}

// Process returns a running process by its name: "cert-manager", with Options.WebhookApart also
// "cert-manager-webhook", and "cert-manager-CONTROLLER" for each of Options.OwnProcess. It returns
// nil if there is none.
func (i *Installation) Process(name string) *process.Process {
	for _, c := range i.children {
		if c.Name() == name {
			return c.Process
		}
	}
	return nil
}

// Stop ends all processes and keeps the installed objects.
func (i *Installation) Stop() error {
	i.started.Store(false)
	var errs []error
	for _, c := range i.children {
		errs = append(errs, c.Stop(stopTimeout))
	}
	return errors.Join(errs...)
}

// Err returns why a process ended unexpectedly, or nil. After Start, it may be called from any
// goroutine.
func (i *Installation) Err() error {
	for _, c := range i.children {
		if err := c.Err(); err != nil {
			return err
		}
	}
	return nil
}
