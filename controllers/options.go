// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"time"

	"k8s.io/utils/clock"

	"github.com/cert-manager/selfsigned-issuer/controllers/internal/events"
	"github.com/cert-manager/selfsigned-issuer/controllers/internal/metrics"
	"github.com/cert-manager/selfsigned-issuer/signer"
)

// Options are the options of the controllers. docs/flags.md describes the flags.
type Options struct {
	// ClusterResourceNamespace has the Secrets of Kubernetes CSRs for a cluster issuer.
	ClusterResourceNamespace string
	// Namespaces are the served namespaces. If empty, the whole cluster is served, with cluster
	// issuers and, if enabled, Kubernetes CSRs.
	Namespaces []string
	// PollSecrets makes pending requests poll their Secret, without permission to watch Secrets.
	PollSecrets bool
	// Concurrency is the number of requests of a kind that are reconciled at the same time.
	Concurrency int
	// KubernetesCSRs enables signing of Kubernetes CertificateSigningRequests.
	KubernetesCSRs bool
	// KeyMismatchGrace is the grace period for a Secret with a key that does not match.
	KeyMismatchGrace time.Duration
	// MaxCertificateSize and MaxPrivateKeySize are the maximum sizes in bytes of PEM-encoded
	// certificate requests and private keys. Zero is the default.
	MaxCertificateSize int
	MaxPrivateKeySize  int
	// LeaseNotRenewedFor returns the time since this leader renewed its Lease. It is nil without
	// leader election.
	LeaseNotRenewedFor func() time.Duration
	// Version is the version in the metric build_info.
	Version string
	// Clock is the clock for validity periods and delays.
	Clock clock.PassiveClock

	metrics *metrics.Metrics // set by SetupWithManager
	events  *events.Writer   // set by SetupWithManager
	slots   *readSlots       // set by SetupWithManager
}

// The defaults are cert-manager's.
const (
	DefaultMaxCertificateSize = signer.DefaultMaxCertificateSize
	DefaultMaxPrivateKeySize  = signer.DefaultMaxPrivateKeySize
)

func (o Options) limits() signer.Limits {
	return signer.Limits{MaxCertificateSize: o.MaxCertificateSize, MaxPrivateKeySize: o.MaxPrivateKeySize}
}
