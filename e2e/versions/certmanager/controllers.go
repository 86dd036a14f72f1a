// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/cert-manager/cert-manager/pkg/controller"
	logf "github.com/cert-manager/cert-manager/pkg/logs"
	"golang.org/x/sync/errgroup"
)

// runControllers runs the selected controllers until the context ends. It reports ready when their
// caches have synced.
func runControllers(ctx context.Context, opts *options, ready *readiness) error {
	names, err := selectControllers(opts.controllers, knownControllers())
	if err != nil {
		return err
	}
	factory, err := controller.NewContextFactory(ctx, contextOptions(opts, names))
	if err != nil {
		return fmt.Errorf("controllers: %w", err)
	}
	// The base context owns the informer factories that every controller's context shares.
	base, err := factory.Build()
	if err != nil {
		return fmt.Errorf("controllers: %w", err)
	}

	group, groupCtx := errgroup.WithContext(ctx)
	for _, name := range names {
		built, err := controller.Known()[name](factory)
		if err != nil {
			return fmt.Errorf("controller %s: %w", name, err)
		}
		group.Go(func() error { return ignoreStop(ctx, built.Run(opts.workers, groupCtx)) })
	}
	if opts.metricsAddress != "" {
		base.Metrics.SetupCertificateCollector(base.SharedInformerFactory.Certmanager().V1().Certificates().Lister())
		group.Go(func() error { return serve(groupCtx, opts.metricsAddress, base.Metrics.NewServer) })
	}
	// Informers are registered while the controllers are built, so the factories start last.
	startInformers(groupCtx, base)
	group.Go(func() error {
		if synced(groupCtx, base) {
			ready.Store(true)
			logf.FromContext(ctx).Info("controllers are ready", "controllers", names)
		}
		return nil
	})
	return group.Wait()
}

func startInformers(ctx context.Context, base *controller.Context) {
	base.SharedInformerFactory.Start(ctx.Done())
	base.KubeSharedInformerFactory.Start(ctx.Done())
	base.HTTP01ResourceMetadataInformersFactory.Start(ctx.Done())
	base.GWShared.Start(ctx.Done())
}

// synced waits until all started informers have synced, including those of missing CRDs. It returns
// false if the context ends.
func synced(ctx context.Context, base *controller.Context) bool {
	base.SharedInformerFactory.WaitForCacheSync(ctx.Done())
	base.KubeSharedInformerFactory.WaitForCacheSync(ctx.Done())
	base.GWShared.WaitForCacheSync(ctx.Done())
	return ctx.Err() == nil
}

// ignoreStop removes the error of a controller that is stopped before its caches have synced.
func ignoreStop(ctx context.Context, err error) error {
	select {
	case <-ctx.Done():
		return nil
	default:
		return err
	}
}

// contextOptions returns the options of the flags, and cert-manager's defaults, whose type cannot
// be imported without the ACME, Vault and Venafi clients.
func contextOptions(opts *options, controllers []string) controller.ContextOptions {
	return controller.ContextOptions{
		Kubeconfig:         opts.kubeconfig,
		KubernetesAPIQPS:   opts.qps,
		KubernetesAPIBurst: opts.burst,
		IssuerOptions:      controller.IssuerOptions{ClusterResourceNamespace: opts.clusterResourceNamespace},
		IngressShimOptions: controller.IngressShimOptions{
			DefaultIssuerName:                 opts.defaultIssuer.Name,
			DefaultIssuerKind:                 opts.defaultIssuer.Kind,
			DefaultIssuerGroup:                opts.defaultIssuer.Group,
			DefaultAutoCertificateAnnotations: []string{"kubernetes.io/tls-acme"},
		},
		CertificateOptions: controller.CertificateOptions{
			CopiedAnnotationPrefixes:                 []string{"*", "-kubectl.kubernetes.io/", "-fluxcd.io/", "-argocd.argoproj.io/"},
			CertificateRequestMinimumBackoffDuration: time.Hour, // the default; no test lasts that long
		},
		ConfigOptions: controller.ConfigOptions{EnableGatewayAPI: slices.Contains(controllers, "gateway-shim")},
	}
}
