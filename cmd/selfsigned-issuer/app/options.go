// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package app is the program selfsigned-issuer: flags, logging, servers, and the manager with its controllers.
package app

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/tools/leaderelection"
)

// options are the values of the flags.
type options struct {
	kubeconfig   string
	kubeAPIQPS   float32
	kubeAPIBurst int

	metricsAddress  string
	metricsSecure   bool
	metricsCertDir  string
	metricsClientCA string
	healthAddress   string

	leaderElect             bool
	leaderElectionNamespace string
	leaseDuration           time.Duration
	renewDeadline           time.Duration
	retryPeriod             time.Duration

	logLevel  int
	logFormat string

	clusterResourceNamespace string
	maxConcurrentReconciles  int
	enableCSRs               bool
	keyMismatchGracePeriod   time.Duration
	maxCertificateSize       int
	maxPrivateKeySize        int
	namespaces               []string
	watchSecrets             bool

	help    bool
	version bool
}

// maxLogLevel is below 8, at which client-go logs bodies of requests and responses, including Secrets.
const maxLogLevel = 7

const (
	formatText = "text"
	formatJSON = "json"
)

// maxReconciles is far above the capacity of an API server.
const maxReconciles = 1000

// validate returns the first invalid flag, with its valid values.
func (o *options) validate() error {
	switch {
	case o.kubeAPIQPS == 0 || o.kubeAPIQPS < -1:
		return fmt.Errorf("--kube-api-qps=%v: must be greater than 0, or -1 for no limit", o.kubeAPIQPS)
	case o.kubeAPIBurst < 1:
		return fmt.Errorf("--kube-api-burst=%d: must be at least 1", o.kubeAPIBurst)
	case o.maxConcurrentReconciles < 1 || o.maxConcurrentReconciles > maxReconciles:
		return fmt.Errorf("--max-concurrent-reconciles=%d: must be from 1 to %d", o.maxConcurrentReconciles, maxReconciles)
	case o.keyMismatchGracePeriod < 0:
		return fmt.Errorf("--key-mismatch-grace-period=%s: must be at least 0s", o.keyMismatchGracePeriod)
	}
	for _, validate := range []func() error{o.validateSizes, o.validateLogging, o.validateScope, o.validateMetrics, o.validateNames, o.validateLeaderElection} {
		if err := validate(); err != nil {
			return err
		}
	}
	return nil
}

// maxPEMSize is about the size limit of an object in the API server.
const maxPEMSize = 1 << 20

func (o *options) validateSizes() error {
	if size := o.maxCertificateSize; size < 1 || size > maxPEMSize {
		return fmt.Errorf("--max-certificate-size=%d: must be from 1 to %d", size, maxPEMSize)
	}
	if size := o.maxPrivateKeySize; size < 1 || size > maxPEMSize {
		return fmt.Errorf("--max-private-key-size=%d: must be from 1 to %d", size, maxPEMSize)
	}
	return nil
}

// validateScope rejects values that would serve other namespaces or requests than intended.
func (o *options) validateScope() error {
	if o.namespaces != nil && len(o.namespaces) == 0 {
		return errors.New("--namespaces is empty: name at least one namespace, or remove the flag to serve all namespaces")
	}
	for _, namespace := range o.namespaces {
		if err := validateNamespace("namespaces", namespace); err != nil {
			return err
		}
	}
	if len(o.namespaces) > 0 && o.enableCSRs {
		return errors.New("--namespaces and --enable-certificate-signing-requests cannot be used together, because a Kubernetes CSR has no namespace")
	}
	return nil
}

func (o *options) validateLogging() error {
	switch {
	case o.logLevel < 0 || o.logLevel > maxLogLevel:
		return fmt.Errorf("--log-level=%d: must be from 0 to %d", o.logLevel, maxLogLevel)
	case o.logFormat != formatText && o.logFormat != formatJSON:
		return fmt.Errorf("--log-format=%q: must be %s or %s", o.logFormat, formatText, formatJSON)
	}
	return nil
}

// minRetryPeriod protects the API server from a wrong value.
const minRetryPeriod = 100 * time.Millisecond

// validateLeaderElection has the rules of client-go. A Lease stores whole seconds.
func (o *options) validateLeaderElection() error {
	switch {
	case o.retryPeriod < minRetryPeriod:
		return fmt.Errorf("--leader-election-retry-period=%s: must be at least %s", o.retryPeriod, minRetryPeriod)
	case o.renewDeadline <= time.Duration(leaderelection.JitterFactor*float64(o.retryPeriod)):
		return fmt.Errorf("--leader-election-renew-deadline=%s: must be more than %g times --leader-election-retry-period, which is %s", o.renewDeadline, leaderelection.JitterFactor, o.retryPeriod)
	case o.leaseDuration <= o.renewDeadline:
		return fmt.Errorf("--leader-election-lease-duration=%s: must be more than --leader-election-renew-deadline, which is %s", o.leaseDuration, o.renewDeadline)
	case o.leaseDuration%time.Second != 0:
		return fmt.Errorf("--leader-election-lease-duration=%s: must be in whole seconds", o.leaseDuration)
	}
	return nil
}

func (o *options) validateNames() error {
	if err := validateNamespace("cluster-resource-namespace", o.clusterResourceNamespace); err != nil {
		return err
	}
	if o.leaderElectionNamespace != "" {
		if err := validateNamespace("leader-election-namespace", o.leaderElectionNamespace); err != nil {
			return err
		}
	}
	if err := validateAddress("metrics-bind-address", o.metricsAddress); err != nil {
		return err
	}
	return validateAddress("health-probe-bind-address", o.healthAddress)
}

func validateNamespace(flag, value string) error {
	if problems := validation.IsDNS1123Label(value); len(problems) > 0 {
		return fmt.Errorf("--%s=%q: must be the name of a namespace: %s", flag, value, strings.Join(problems, "; "))
	}
	return nil
}

// noAddress disables a server.
const noAddress = "0"

func validateAddress(flag, value string) error {
	if value == noAddress {
		return nil
	}
	if _, _, err := net.SplitHostPort(value); err != nil {
		return fmt.Errorf("--%s=%q: must be HOST:PORT, :PORT, or 0 to disable it", flag, value)
	}
	return nil
}
