// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

// Command trustmanager runs the controllers and the webhook of trust-manager for the end-to-end tests.
//
// trust-manager's command serves its probes and metrics on all addresses, while a test listens only
// on loopback. This program has the same flags and packages. It serves the probes at
// --webhook-host, and has no metrics and no leader election, which needs a Pod.
package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"

	"github.com/cert-manager/trust-manager/cmd/trust-manager/app/options"
	trustapi "github.com/cert-manager/trust-manager/pkg/apis/trust/v1alpha1"
	"github.com/cert-manager/trust-manager/pkg/bundle"
	"github.com/cert-manager/trust-manager/pkg/webhook"
	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	metrics "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	webhookserver "sigs.k8s.io/controller-runtime/pkg/webhook"
)

func main() {
	opts := options.New()
	command := &cobra.Command{
		Use:          "trust-manager",
		SilenceUsage: true,
		RunE: func(*cobra.Command, []string) error {
			if err := opts.Complete(); err != nil {
				return err
			}
			return run(ctrl.SetupSignalHandler(), opts)
		},
	}
	opts.Prepare(command)
	if err := command.Execute(); err != nil {
		os.Exit(1) // cobra has printed the error
	}
}

func run(ctx context.Context, opts *options.Options) error {
	ctrl.SetLogger(opts.NewLogger())
	manager, err := ctrl.NewManager(opts.RestConfig, managerOptions(opts))
	if err != nil {
		return fmt.Errorf("manager: %w", err)
	}
	if err := manager.AddReadyzCheck("webhook", manager.GetWebhookServer().StartedChecker()); err != nil {
		return fmt.Errorf("probe: %w", err)
	}
	if err := bundle.SetupWithManager(ctx, manager, opts.Bundle); err != nil {
		return fmt.Errorf("controllers: %w", err)
	}
	if err := webhook.SetupWebhookWithManager(manager); err != nil {
		return fmt.Errorf("webhook: %w", err)
	}
	return manager.Start(ctx)
}

func managerOptions(opts *options.Options) ctrl.Options {
	scheme := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(scheme))
	utilruntime.Must(trustapi.AddToScheme(scheme))
	serving := opts.Webhook
	return ctrl.Options{
		Scheme:                 scheme,
		Cache:                  bundle.CacheOpts(opts.Bundle),
		Metrics:                metrics.Options{BindAddress: "0"},
		HealthProbeBindAddress: net.JoinHostPort(serving.Host, strconv.Itoa(opts.ReadyzPort)),
		ReadinessEndpointName:  opts.ReadyzPath,
		WebhookServer: webhookserver.NewServer(webhookserver.Options{
			Host: serving.Host, Port: serving.Port, CertDir: serving.CertDir,
		}),
	}
}
