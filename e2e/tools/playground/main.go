// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

// Command playground starts the environment of the demo for the user's kubectl.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/console"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/environment"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, console.New(os.Stdout))
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "\nplayground: failed:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, c *console.Console) error {
	var env *environment.Environment
	var kubectl environment.Kubectl
	err := c.Step("Start a control plane with cert-manager, and install selfsigned-issuer", func() (err error) {
		if env, err = environment.Start(ctx, environment.Options{Report: c.Printf, Kubectl: true}); err != nil {
			return err
		}
		kubectl, err = env.Kubectl(ctx, c.Printf)
		return err
	})
	if ctx.Err() != nil {
		err = nil // Ctrl-C during the start is not an error
	}
	if env == nil {
		return err
	}
	if err == nil {
		c.Plain(fmt.Sprintf(instructions, env.ControlPlane.AdminKubeconfig(), filepath.Dir(kubectl.Path), env.ControlPlane.LogDir()))
		<-ctx.Done()
	}
	c.Plain("\nStopping everything.")
	if stopErr := env.Stop(); stopErr != nil {
		return stopErr
	}
	return err
}

const instructions = `
It runs until you press Ctrl-C here. In another terminal:

  export KUBECONFIG=%s
  export PATH=$PATH:%s
  kubectl apply --server-side -f deploy/examples/issuer.yaml
  kubectl get selfsignedissuers -A -o wide

The logs are in %s`
