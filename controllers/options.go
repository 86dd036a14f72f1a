// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"time"

	"k8s.io/utils/clock"

	"github.com/cert-manager/selfsigned-issuer/signer"
)

// Options are what a user can set on the controllers; see the flags for their meaning.
type Options struct {
	// ClusterResourceNamespace is where the keys of Kubernetes CSRs for a cluster issuer are.
	ClusterResourceNamespace string
	// Namespaces are the only ones that are served; all are when it is empty. With a list,
	// neither cluster issuers nor Kubernetes CSRs are served.
	Namespaces []string
	// PollSecrets looks again and again at the Secrets that requests wait for, where there is
	// no right to watch them.
	PollSecrets bool
	// Concurrency is how many requests of a kind are handled at the same time.
	Concurrency int
	// KubernetesCSRs turns on the signing of Kubernetes CertificateSigningRequests.
	KubernetesCSRs bool
	// KeyMismatchGrace is how long a Secret may hold another key than the request's.
	KeyMismatchGrace time.Duration
	// MaxCertificateSize and MaxPrivateKeySize are the sizes in bytes up to which
	// PEM-encoded certificate requests and private keys are decoded. Zero is the default.
	MaxCertificateSize int
	MaxPrivateKeySize  int
	// LeaseNotRenewedFor returns how long this replica has led without renewing its Lease;
	// nil without leader election.
	LeaseNotRenewedFor func() time.Duration
	// Version is what the metrics say of the build.
	Version string
	// Clock is the source of validity periods and graces.
	Clock clock.PassiveClock

	events *eventWriter // set by Add
	slots  *FairSlots   // set by Add
}

// The defaults are cert-manager's.
const (
	DefaultMaxCertificateSize = signer.DefaultMaxCertificateSize
	DefaultMaxPrivateKeySize  = signer.DefaultMaxPrivateKeySize
)

func (o Options) limits() signer.Limits {
	return signer.Limits{MaxCertificateSize: o.MaxCertificateSize, MaxPrivateKeySize: o.MaxPrivateKeySize}
}
