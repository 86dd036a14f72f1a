// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/cert-manager/selfsigned-issuer/controllers"
)

// gracefulShutdownTimeout limits how long started writes can take after a signal to stop.
const gracefulShutdownTimeout = 5 * time.Second

// runManager runs the controllers until ctx ends.
func runManager(ctx context.Context, o options, logger logr.Logger) error {
	config, err := restConfig(o)
	if err != nil {
		return err
	}
	probes := newProbes()
	apiServer, err := newAPIServerWaiter(config, probes, logger)
	if err != nil {
		return err
	}
	logger.Info("Starting selfsigned-issuer", "version", version())
	stopProbes, err := probes.serve(ctx, o.healthAddress, logger)
	if err != nil {
		return fmt.Errorf("setting up: %w", err)
	}
	defer stopProbes()
	if apiServer.wait(ctx); ctx.Err() != nil {
		return nil
	}
	mgr, lease, err := newManager(config, o, logger)
	if err != nil {
		return err
	}
	settings := controllerOptions(o)
	settings.LeaseNotRenewedFor = lease.notRenewedFor
	hooks, err := controllers.SetupWithManager(mgr, settings) //nolint:contextcheck // events outlive ctx: Flush ends them
	if err != nil {
		return fmt.Errorf("setting up: %w", err)
	}
	defer hooks.Flush()
	probes.setReadiness(hooks.Ready)
	probes.setUnserved(hooks.Unserved)
	if err := addMetrics(ctx, mgr, o); err != nil {
		return fmt.Errorf("setting up: %w", err)
	}
	if err := mgr.Start(ctx); err != nil {
		return fmt.Errorf("stopped: %w", err)
	}
	return nil
}

// newManager returns a manager and its lock, which is nil without leader election.
func newManager(config *rest.Config, o options, logger logr.Logger) (ctrl.Manager, *outageTolerantLock, error) {
	lease, err := newLease(config, o, logger)
	if err != nil {
		return nil, nil, fmt.Errorf("setting up leader election: %w", err)
	}
	mgr, err := ctrl.NewManager(config, managerOptions(o, lease, logger))
	if err == nil && lease != nil {
		err = mgr.Add(lease)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("setting up: %w", err)
	}
	return mgr, lease, nil
}

func managerOptions(o options, lease *outageTolerantLock, logger logr.Logger) ctrl.Options {
	stop, poll := gracefulShutdownTimeout, o.retryPeriod/pollsPerRetryPeriod
	result := ctrl.Options{
		Scheme:                 controllers.Scheme(),
		Logger:                 logger,
		Cache:                  cache.Options{ReaderFailOnMissingInformer: true}, // not used: see package controllers
		Metrics:                server.Options{BindAddress: noAddress},           // see metrics.go
		HealthProbeBindAddress: noAddress,                                        // see health.go

		LeaderElection:                o.leaderElect,
		LeaderElectionID:              controllers.LeaderElectionID, // a label of leader_election_master_status
		LeaderElectionReleaseOnCancel: true,                         // safe, because the process exits when the manager stops
		LeaseDuration:                 &o.leaseDuration,
		RenewDeadline:                 &o.renewDeadline,
		RetryPeriod:                   &poll,
		GracefulShutdownTimeout:       &stop,
	}
	if lease != nil {
		result.LeaderElectionResourceLockInterface = lease
	}
	return result
}

func controllerOptions(o options) controllers.Options {
	return controllers.Options{
		ClusterResourceNamespace: o.clusterResourceNamespace,
		Namespaces:               o.namespaces,
		PollSecrets:              !o.watchSecrets,
		Concurrency:              o.maxConcurrentReconciles,
		KubernetesCSRs:           o.enableCSRs,
		KeyMismatchGrace:         o.keyMismatchGracePeriod,
		MaxCertificateSize:       o.maxCertificateSize,
		MaxPrivateKeySize:        o.maxPrivateKeySize,
		Version:                  moduleVersion(),
		Clock:                    clock.RealClock{},
	}
}

// restConfig uses --kubeconfig, KUBECONFIG, the Pod or the home directory, in this order, as
// controller-runtime does. controller-runtime's own flag is a global variable, so it is not used.
func restConfig(o options) (*rest.Config, error) {
	load := ctrl.GetConfig
	if o.kubeconfig != "" {
		load = func() (*rest.Config, error) { return clientcmd.BuildConfigFromFlags("", o.kubeconfig) }
	}
	config, err := load()
	switch {
	case clientcmd.IsEmptyConfig(err):
		return nil, errors.New("no access to an API server: no kubeconfig found; set --kubeconfig or KUBECONFIG, or run in a Pod")
	case err != nil:
		return nil, fmt.Errorf("no access to an API server: %w", err)
	}
	config.QPS, config.Burst = o.kubeAPIQPS, o.kubeAPIBurst
	return config, nil
}
