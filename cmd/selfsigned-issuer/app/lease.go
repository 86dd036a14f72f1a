// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/kubernetes"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/client-go/tools/record"
	"sigs.k8s.io/controller-runtime/pkg/leaderelection"

	"github.com/cert-manager/selfsigned-issuer/controllers"
)

const (
	// leaseDuration is for how long a standby leaves a leader alone that does not renew. It
	// takes over from one that was killed two looks later at most: within 15 s.
	leaseDuration = 12 * time.Second

	// renewDeadline is how long a leader goes on that the API server refuses to renew.
	renewDeadline = 8 * time.Second

	// retryPeriod is how often the leader renews. A standby looks every 1 to 2.2 periods, so
	// that it follows a leader that has given up its Lease within 1.1 s.
	retryPeriod = 500 * time.Millisecond
)

// newLease returns the Lease by which replicas agree on a leader; nil without an election.
func newLease(config *rest.Config, o options, logger logr.Logger) (resourcelock.Interface, error) {
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
		RenewDeadline:           renewDeadline,
	})
	return &patientLease{Interface: lock, log: logger.WithName("lease")}, err
}

// patientLease does not give up a Lease only because the API server is away. Nobody else can
// take it meanwhile, and a process that ended would be started over by the kubelet with
// pauses of up to five minutes. If only this process is cut off, another one does take the
// Lease; this one learns it from the first answer. What both write until then is guarded, see
// "One guarded write" in DESIGN.md.
type patientLease struct {
	resourcelock.Interface
	log logr.Logger

	held bool // the API server's last answer was that it is ours
	away bool // the API server does not answer
}

// Create takes a Lease that does not exist.
func (l *patientLease) Create(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	err := l.Interface.Create(ctx, record)
	l.held = err == nil
	return err
}

// Update takes, renews or releases the Lease.
func (l *patientLease) Update(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	err := l.Interface.Update(ctx, record)
	renewal := l.held && record.HolderIdentity != ""
	if renewal && err != nil && !answered(err) {
		if !l.away {
			l.log.Info("The API server does not renew the Lease, keeping it until somebody else has it", "error", err.Error())
		}
		l.away = true
		return nil
	}
	if l.away && answered(err) {
		l.log.Info("The API server answers again")
		l.away = false
	}
	l.held = err == nil && record.HolderIdentity != ""
	return err
}

// answered tells a decision of the API server from its, or the network's, failure.
func answered(err error) bool {
	if err == nil {
		return true
	}
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return false
	}
	code := status.Status().Code
	return code < http.StatusInternalServerError && code != http.StatusTooManyRequests
}

// leaseEvents makes the recorder of events about the Lease.
type leaseEvents struct{ clients kubernetes.Interface }

// GetEventRecorderFor is what the election asks for.
func (e leaseEvents) GetEventRecorderFor(name string) record.EventRecorder {
	broadcaster := record.NewBroadcaster()
	broadcaster.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: e.clients.CoreV1().Events("")})
	return broadcaster.NewRecorder(controllers.Scheme(), corev1.EventSource{Component: name})
}

// GetEventRecorder is never asked for.
func (leaseEvents) GetEventRecorder(string) events.EventRecorder { return events.NewFakeRecorder(0) }
