// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

// Command demo shows selfsigned-issuer step by step: it starts a control plane and cert-manager,
// and issues and checks certificates of deploy/examples.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/console"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/environment"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, console.New(os.Stdout))
	stop()
	switch {
	case errors.Is(err, errInterrupted):
		fmt.Fprintln(os.Stderr, "\ndemo:", err)
		os.Exit(130) // what a shell reports for Ctrl-C
	case err != nil:
		fmt.Fprintln(os.Stderr, "\ndemo: failed:", err)
		os.Exit(1)
	}
}

var errInterrupted = errors.New("interrupted; all programs are stopped")

func run(ctx context.Context, c *console.Console) (err error) {
	start := time.Now()
	c.Plain(introduction)

	s := &story{console: c}
	defer func() {
		var stopErr error
		if s.env != nil {
			stopErr = s.env.Stop()
		}
		if err != nil && ctx.Err() != nil && stopErr == nil {
			err = errInterrupted
		}
		err = errors.Join(err, stopErr)
	}()
	for _, step := range s.steps() {
		if err := c.Step(step.title, func() error { return step.run(ctx) }); err != nil {
			return err
		}
	}
	c.Plain(fmt.Sprintf("\nEvery step was checked; the demo took %s.\n", time.Since(start).Round(time.Second)) + whatNext)
	return nil
}

const introduction = `selfsigned-issuer demo: cert-manager's page on SelfSigned, with our issuers.
It runs etcd, kube-apiserver, cert-manager and selfsigned-issuer on this
machine. The first run downloads or builds them, which takes about 11 minutes
on 2 cores if it builds all; later runs take less than a minute.
Ctrl-C stops all programs at any time.`

const whatNext = `
What to try next:
  make playground     the same environment, kept running for your own kubectl
  ls deploy/examples  the manifests that you have just seen at work
  kubectl apply --server-side -k deploy/namespace
  kubectl apply --server-side -k deploy/overlays/default
                      the installation into a cluster that has cert-manager`

// start is the first step.
func (s *story) start(ctx context.Context) (err error) {
	s.env, err = environment.Start(ctx, environment.Options{Report: s.console.Printf, Kubectl: true})
	if err != nil {
		return err
	}
	s.kubectl, err = s.env.Kubectl(ctx, s.console.Printf)
	return err
}
