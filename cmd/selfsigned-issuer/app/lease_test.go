// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"errors"
	"testing"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// answeringLock answers each Create and Update with the next of its answers.
type answeringLock struct {
	resourcelock.Interface
	answer error
}

func (a *answeringLock) Create(context.Context, resourcelock.LeaderElectionRecord) error {
	return a.answer
}

func (a *answeringLock) Update(context.Context, resourcelock.LeaderElectionRecord) error {
	return a.answer
}

// TestPatientLease: an API server that is away takes the Lease from nobody, and gives it to
// nobody either.
func TestPatientLease(t *testing.T) {
	t.Parallel()
	leases := schema.GroupResource{Group: "coordination.k8s.io", Resource: "leases"}
	away := map[string]error{
		"network": errors.New("connection refused"),
		"500":     apierrors.NewInternalError(errors.New("etcd is away")),
		"503":     apierrors.NewServiceUnavailable("not now"),
		"429":     apierrors.NewTooManyRequests("slow down", 1),
	}
	conflict := apierrors.NewConflict(leases, "lease", errors.New("somebody else's"))
	forbidden := apierrors.NewForbidden(leases, "lease", nil)
	mine, nobody := resourcelock.LeaderElectionRecord{HolderIdentity: "me"}, resourcelock.LeaderElectionRecord{}
	for name, failure := range away {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := &answeringLock{}
			lease := &patientLease{Interface: server, log: logr.Discard()}
			update := func(record resourcelock.LeaderElectionRecord, answer, want error) {
				t.Helper()
				server.answer = answer
				if got := lease.Update(t.Context(), record); !errors.Is(got, want) {
					t.Errorf("got %v, want %v", got, want)
				}
			}
			update(mine, failure, failure) // not held: not taken
			server.answer = nil
			if err := lease.Create(t.Context(), mine); err != nil {
				t.Fatal(err)
			}
			update(mine, failure, nil) // held: kept
			update(mine, failure, nil)
			update(mine, nil, nil)
			update(nobody, failure, failure) // not released, and said so
			for _, decided := range []error{conflict, forbidden} {
				update(mine, nil, nil)
				update(mine, decided, decided)
				update(mine, failure, failure) // no longer held
			}
		})
	}
}
