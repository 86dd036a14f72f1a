// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"context"
	"strings"
)

// controllers are those that tests need: there are no nodes, Pods and volumes.
var controllers = []string{
	"namespace-controller",
	"garbage-collector-controller",
	"clusterrole-aggregation-controller",
	"serviceaccount-controller",
	"root-ca-certificate-publisher-controller",
}

func (c *ControlPlane) startControllers(ctx context.Context) error {
	_, kubeconfig, err := c.AddUser("system:kube-controller-manager")
	if err != nil {
		return err
	}
	c.controllers, err = c.start("kube-controller-manager", c.programs.controllerManager,
		"--kubeconfig="+kubeconfig,
		"--controllers="+strings.Join(controllers, ","),
		// Each controller has its own account and permissions, as in a real cluster.
		"--use-service-account-credentials",
		"--service-account-private-key-file="+serviceAccountKey,
		"--root-ca-file="+caFile,
		"--leader-elect=false",
		"--secure-port=0",
		"--profiling=false",
	)
	if err != nil {
		return err
	}
	// The first visible result of the controllers.
	return c.controllers.Await(ctx, func(ctx context.Context) error {
		_, err := c.Get(ctx, "/api/v1/namespaces/default/serviceaccounts/default")
		return err
	})
}
