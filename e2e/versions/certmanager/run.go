// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"

	logf "github.com/cert-manager/cert-manager/pkg/logs"
	utilfeature "github.com/cert-manager/cert-manager/pkg/util/feature"
	"golang.org/x/sync/errgroup"
	ctrl "sigs.k8s.io/controller-runtime"
)

// run runs the selected parts until the context ends or one of them fails.
func run(ctx context.Context, opts *options) error {
	logf.InitLogs()
	defer logf.FlushLogs()
	if err := logf.ValidateAndApply(&opts.logging); err != nil {
		return err
	}
	if err := utilfeature.DefaultMutableFeatureGate.SetFromMap(opts.featureGates); err != nil {
		return err
	}
	// The admission server uses the logger of controller-runtime, which prints a warning with a
	// stack trace if it is not set.
	ctrl.SetLogger(logf.Log)
	ctx = logf.NewContext(ctx, logf.Log)

	group, ctx := errgroup.WithContext(ctx)
	ready := &readiness{}
	if opts.runsControllers() {
		group.Go(func() error { return runControllers(ctx, opts, ready) })
	}
	if opts.healthAddress != "" {
		group.Go(func() error { return serveHealth(ctx, opts.healthAddress, ready) })
	}
	if opts.runsWebhook() {
		group.Go(func() error { return runWebhook(ctx, opts) })
	}
	return group.Wait()
}
