// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/tools/record"
	"sigs.k8s.io/controller-runtime/pkg/leaderelection"

	"github.com/cert-manager/selfsigned-issuer/controllers"
)

// pollsPerRetryPeriod is how often client-go calls the lock in a retry period. A standby reads the Lease at
// this pace, 1 to 2.2 polls apart, and so acquires a released Lease within 1.1 s by default. A leader
// writes the Lease once per retry period.
const pollsPerRetryPeriod = 4

// newLease returns the lock for leader election, or nil without leader election.
func newLease(config *rest.Config, o options, logger logr.Logger) (*outageTolerantLock, error) {
	if !o.leaderElect {
		return nil, nil
	}
	clients, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	lock, err := leaderelection.NewResourceLock(rest.CopyConfig(config), leaseEvents{clients}, leaderelection.Options{
		LeaderElection:          true,
		LeaderElectionNamespace: o.leaderElectionNamespace,
		LeaderElectionID:        controllers.LeaderElectionID,
		RenewDeadline:           o.renewDeadline,
	})
	if err != nil {
		return nil, err
	}
	return newOutageTolerantLock(lock, o.leaseDuration, o.retryPeriod, logger.WithName("lease")), nil
}

// leaseEvents provides the recorder of events about the Lease.
type leaseEvents struct{ clients kubernetes.Interface }

// GetEventRecorderFor is called by leader election.
func (e leaseEvents) GetEventRecorderFor(name string) record.EventRecorder {
	broadcaster := record.NewBroadcaster()
	broadcaster.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: e.clients.CoreV1().Events("")})
	return broadcaster.NewRecorder(controllers.Scheme(), corev1.EventSource{Component: name})
}

// GetEventRecorder is not called.
func (leaseEvents) GetEventRecorder(string) events.EventRecorder { return events.NewFakeRecorder(0) }
