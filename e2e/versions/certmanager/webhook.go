// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"path/filepath"
	"strconv"

	webhookconfig "github.com/cert-manager/cert-manager/internal/apis/config/webhook"
	cmwebhook "github.com/cert-manager/cert-manager/internal/webhook"
	"github.com/cert-manager/cert-manager/pkg/webhook/admission"
	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/webhook"
)

// runWebhook serves cert-manager's admission webhook until the context ends.
//
// Only the admission chain of cert-manager's server is used, because its Run method listens on all
// addresses.
func runWebhook(ctx context.Context, opts *options) error {
	// Without its log about a missing certificate, because this server is not run.
	chain, err := cmwebhook.NewCertManagerWebhookServer(logr.Discard(), webhookconfig.WebhookConfiguration{
		KubeConfig: opts.webhookKubeconfig,
	})
	if err != nil {
		return fmt.Errorf("webhook: %w", err)
	}
	server, err := newListener(opts)
	if err != nil {
		return fmt.Errorf("webhook: %w", err)
	}
	server.Register("/mutate", admission.NewCustomMutationWebhook(chain.MutationWebhook))
	server.Register("/validate", admission.NewCustomValidationWebhook(chain.ResourceScheme, chain.ValidationWebhook))
	if err := server.Start(ctx); err != nil {
		return fmt.Errorf("webhook: %w", err)
	}
	return nil
}

func newListener(opts *options) (webhook.Server, error) {
	host, portText, err := net.SplitHostPort(opts.webhookAddress)
	if err != nil {
		return nil, err
	}
	port, err := strconv.Atoi(portText)
	if err != nil {
		return nil, fmt.Errorf("--webhook-address: port %q is not a number", portText)
	}
	certificate, err := tls.LoadX509KeyPair(filepath.Clean(opts.certFile), filepath.Clean(opts.keyFile))
	if err != nil {
		return nil, fmt.Errorf("serving certificate: %w", err)
	}
	serve := func(config *tls.Config) {
		config.MinVersion = tls.VersionTLS12
		config.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &certificate, nil }
	}
	return webhook.NewServer(webhook.Options{Host: host, Port: port, TLSOpts: []func(*tls.Config){serve}}), nil
}
