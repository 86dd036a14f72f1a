// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package certmanager

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"sync/atomic"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/build"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/chart"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/controlplane"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/manifest"
)

// Installation is cert-manager in one cluster. Its methods are not safe for concurrent use, unless
// documented.
type Installation struct {
	cluster *controlplane.ControlPlane
	options Options
	source  build.Module
	// of the chart, by kind
	objects []*unstructured.Unstructured

	webhookAddress string
	serving        chart.ServingFiles
	children       []child
	started        atomic.Bool // Start has returned without an error
}

// Install installs and starts cert-manager. It returns when the webhook works and the caches of the
// controllers have synced. The caller stops it.
func Install(ctx context.Context, c *controlplane.ControlPlane, options Options) (*Installation, error) {
	i, err := New(ctx, c, options)
	if err != nil {
		return nil, err
	}
	for _, step := range []func(context.Context) error{i.InstallCRDs, i.InstallRBAC, i.InstallWebhooks, i.Start} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return i, nil
}

// New prepares an installation without changing the cluster. The steps of Install are separate
// methods, for tests that use another order.
func New(ctx context.Context, c *controlplane.ControlPlane, options Options) (*Installation, error) {
	source, err := findSource(ctx, modulePath)
	if err != nil {
		return nil, err
	}
	port, err := controlplane.FreePort()
	if err != nil {
		return nil, err
	}
	address := loopback(port)
	objects, err := render(source, address)
	if err != nil {
		return nil, err
	}
	return &Installation{
		cluster: c, options: options, source: source, objects: objects, webhookAddress: address,
		serving: chart.ServingFiles{
			Cert: filepath.Join(c.Dir(), "cert-manager-webhook.crt"),
			Key:  filepath.Join(c.Dir(), "cert-manager-webhook.key"),
		},
	}, nil
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// Version returns cert-manager's version, such as v1.21.2.
func (i *Installation) Version() string { return i.source.Version }

// InstallCRDs installs the CustomResourceDefinitions and waits until the API server serves
// their resources.
func (i *Installation) InstallCRDs(ctx context.Context) error {
	crds, err := i.crds(ctx)
	if err != nil {
		return err
	}
	return manifest.ApplyCRDs(ctx, i.cluster.AdminConfig(), crds...)
}

func (i *Installation) crds(ctx context.Context) ([]*unstructured.Unstructured, error) {
	crds, err := readCRDs(i.source, "deploy/crds")
	if err != nil || !slices.Contains(i.options.Controllers, "gateway-shim") {
		return crds, err
	}
	gateway, err := findSource(ctx, gatewayPath)
	if err != nil {
		return nil, err
	}
	more, err := readCRDs(gateway, "config/crd/standard")
	return append(crds, more...), err
}

// InstallRBAC creates Namespace, the ServiceAccounts and their permissions.
func (i *Installation) InstallRBAC(ctx context.Context) error {
	return manifest.Apply(ctx, i.cluster.AdminConfig(), chart.RBAC(Namespace, i.objects)...)
}

// InstallWebhooks registers the webhook with the API server. Until Start, cert-manager objects
// cannot be created or changed, as in a user's cluster.
func (i *Installation) InstallWebhooks(ctx context.Context) error {
	caBundle, err := i.serving.Write(i.webhookAddress)
	if err != nil {
		return err
	}
	configurations := chart.OfKind(i.objects, "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")
	for _, configuration := range configurations {
		if err := chart.SetCABundle(configuration, caBundle); err != nil {
			return fmt.Errorf("cannot set the CA bundle: %w", err)
		}
	}
	return manifest.Apply(ctx, i.cluster.AdminConfig(), configurations...)
}
