// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package issuer

import (
	"context"
	"errors"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/controlplane"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/faultproxy"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/manifest"
)

// Installation is an overlay that has been applied to a cluster.
type Installation struct {
	// Objects are all rendered objects.
	Objects []*unstructured.Unstructured
	// Deployment is that of selfsigned-issuer.
	Deployment appsv1.Deployment
	// Proxy is between the API server and the replicas that are started, if it is not nil.
	Proxy *faultproxy.Proxy

	// Kubeconfig is the path for the replicas; empty: a new one for the Deployment's ServiceAccount.
	Kubeconfig string

	cluster *controlplane.ControlPlane
}

// Install renders the steps of the overlay and applies them with strict field validation.
func Install(ctx context.Context, c *controlplane.ControlPlane, overlay string) (*Installation, error) {
	i, err := Find(c, overlay)
	if err != nil {
		return nil, err
	}
	if err := manifest.Apply(ctx, c.AdminConfig(), i.Objects...); err != nil {
		return nil, err
	}
	return i, nil
}

// Find returns an installation of an overlay that has already been applied.
func Find(c *controlplane.ControlPlane, overlay string) (*Installation, error) {
	var all []*unstructured.Unstructured
	steps, err := Steps(overlay)
	if err != nil {
		return nil, err
	}
	for _, step := range steps {
		objects, err := Render(step)
		if err != nil {
			return nil, err
		}
		all = append(all, objects...)
	}
	i, err := Installed(c, all)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", overlay, err)
	}
	return i, nil
}

// Installed returns an installation of objects that have already been applied.
func Installed(c *controlplane.ControlPlane, objects []*unstructured.Unstructured) (*Installation, error) {
	i := &Installation{cluster: c, Objects: objects}
	return i, i.findDeployment()
}

func (i *Installation) findDeployment() error {
	for _, object := range i.Objects {
		if object.GetKind() == "Deployment" {
			return runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &i.Deployment)
		}
	}
	return errors.New("renders no Deployment")
}
