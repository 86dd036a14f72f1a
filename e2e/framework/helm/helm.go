// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package helm installs, packages and publishes the chart with Helm's library.
package helm

import (
	"context"
	"fmt"
	"time"

	"helm.sh/helm/v4/pkg/action"
	v2 "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/kube"
	release "helm.sh/helm/v4/pkg/release/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/cli-runtime/pkg/genericclioptions"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/manifest"
)

const timeout = time.Minute

// Client manages one release in a cluster.
type Client struct {
	config          *action.Configuration
	name, namespace string
}

// NewClient returns a client of the release called name in namespace.
func NewClient(kubeconfig, name, namespace string) (*Client, error) {
	flags := genericclioptions.NewConfigFlags(false)
	flags.KubeConfig, flags.Namespace = &kubeconfig, &namespace
	config := action.NewConfiguration()
	if err := config.Init(flags, namespace, "secret"); err != nil {
		return nil, err
	}
	return &Client{config, name, namespace}, nil
}

// Install installs the chart and creates the namespace. With adopt, it takes ownership of existing
// objects and their fields. It does not wait for Pods, because no node runs them.
func (c *Client) Install(ctx context.Context, chart *v2.Chart, values map[string]any, adopt bool) ([]*unstructured.Unstructured, error) {
	install := action.NewInstall(c.config)
	install.ReleaseName, install.Namespace, install.CreateNamespace = c.name, c.namespace, true
	install.TakeOwnership, install.ForceConflicts = adopt, adopt
	install.WaitStrategy, install.Timeout = kube.HookOnlyStrategy, timeout
	return objects(install.RunWithContext(ctx, chart, values))
}

// Upgrade upgrades the release and keeps its values, as in docs/upgrade.md.
func (c *Client) Upgrade(ctx context.Context, chart *v2.Chart, values map[string]any) ([]*unstructured.Unstructured, error) {
	upgrade := action.NewUpgrade(c.config)
	upgrade.Namespace, upgrade.WaitStrategy, upgrade.Timeout = c.namespace, kube.HookOnlyStrategy, timeout
	upgrade.ResetThenReuseValues = true
	return objects(upgrade.RunWithContext(ctx, c.name, chart, values))
}

// Uninstall removes the release.
func (c *Client) Uninstall() error {
	uninstall := action.NewUninstall(c.config)
	uninstall.WaitStrategy, uninstall.Timeout = kube.HookOnlyStrategy, timeout
	_, err := uninstall.Run(c.name)
	return err
}

// objects returns what a release contains.
func objects(released any, err error) ([]*unstructured.Unstructured, error) {
	if err != nil {
		return nil, err
	}
	r, ok := released.(*release.Release)
	if !ok {
		return nil, fmt.Errorf("a release of the unknown type %T", released)
	}
	return manifest.Decode([]byte(r.Manifest))
}
