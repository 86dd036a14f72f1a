// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/spf13/pflag"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/klog/v2"
)

var leases = schema.GroupResource{Group: "coordination.k8s.io", Resource: "leases"}

// fakeLease is a Lease on an API server.
type fakeLease struct {
	mu      sync.Mutex
	record  *resourcelock.LeaderElectionRecord
	version int
	reads   int
	writes  int
}

func (f *fakeLease) holder() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.record == nil {
		return ""
	}
	return f.record.HolderIdentity
}

// delete removes the Lease.
func (f *fakeLease) delete() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.record = nil
}

func (f *fakeLease) isDeleted() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.record == nil
}

// requests returns how many reads and writes there were since the last call.
func (f *fakeLease) requests() (reads, writes int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	reads, writes = f.reads, f.writes
	f.reads, f.writes = 0, 0
	return reads, writes
}

// fakeLock is one replica's access to the Lease, with the faults that a test sets.
type fakeLock struct {
	lease    *fakeLease
	identity string

	mu         sync.Mutex
	version    int
	readError  error
	writeError error
	loseAnswer bool // the next write is done, and its answer is lost
	unnamed    bool // the last Create has failed
	freeze     time.Duration
}

// freezeFor stops the replica for a while after the next renewal.
func (f *fakeLock) freezeFor(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.freeze = d
}

func (f *fakeLock) set(readError, writeError error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.readError, f.writeError = readError, writeError
}

func (f *fakeLock) loseNextAnswer() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.loseAnswer = true
}

func (f *fakeLock) Get(context.Context) (*resourcelock.LeaderElectionRecord, []byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lease.mu.Lock()
	defer f.lease.mu.Unlock()
	f.lease.reads++
	if f.readError != nil {
		return nil, nil, f.readError
	}
	if f.lease.record == nil {
		return nil, nil, apierrors.NewNotFound(leases, "lease")
	}
	f.version = f.lease.version
	record := *f.lease.record
	raw, err := json.Marshal(record)
	return &record, raw, err
}

func (f *fakeLock) Create(_ context.Context, record resourcelock.LeaderElectionRecord) error {
	f.lease.mu.Lock()
	version := f.lease.version
	f.lease.mu.Unlock()
	f.mu.Lock()
	f.version = version
	f.unnamed = f.writeError != nil // client-go's lock keeps the empty object of a failed answer
	f.mu.Unlock()
	return f.write(record)
}

func (f *fakeLock) Update(_ context.Context, record resourcelock.LeaderElectionRecord) error {
	f.mu.Lock()
	unnamed := f.unnamed
	f.mu.Unlock()
	switch {
	case unnamed:
		return errors.New("resource name may not be empty")
	case f.lease.isDeleted():
		return apierrors.NewNotFound(leases, "lease")
	}
	return f.write(record)
}

func (f *fakeLock) write(record resourcelock.LeaderElectionRecord) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lease.mu.Lock()
	defer f.lease.mu.Unlock()
	f.lease.writes++
	if f.writeError != nil {
		return f.writeError
	}
	if f.version != f.lease.version {
		return apierrors.NewConflict(leases, "lease", errors.New("the object has been modified"))
	}
	f.lease.version++
	f.lease.record = &record
	if f.loseAnswer {
		f.loseAnswer = false
		return errors.New("connection reset by peer")
	}
	f.version = f.lease.version
	return nil
}

func (f *fakeLock) RecordEvent(string) {}
func (f *fakeLock) Identity() string   { return f.identity }

// Describe is what client-go calls after each renewal.
func (f *fakeLock) Describe() string {
	f.mu.Lock()
	freeze := f.freeze
	f.freeze = 0
	f.mu.Unlock()
	time.Sleep(freeze) //nolint:forbidigo // of synctest
	return f.identity
}

// replica takes part in the leader election as the process does.
type replica struct {
	*fakeLock
	lock *outageTolerantLock
	log  *strings.Builder
	stop context.CancelFunc

	leads chan struct{} // closed when it becomes the leader
	ended chan struct{} // closed when it ends
	err   error         // why it ended, as the manager would return it
}

// startReplica starts one with the default flags.
func startReplica(t *testing.T, lease *fakeLease, identity string) *replica {
	t.Helper()
	var o options
	o.addFlags(pflag.NewFlagSet("", pflag.ContinueOnError))
	log := &strings.Builder{}
	r := &replica{
		fakeLock: &fakeLock{lease: lease, identity: identity},
		log:      log,
		leads:    make(chan struct{}), ended: make(chan struct{}),
	}
	r.lock = newOutageTolerantLock(r.fakeLock, o.leaseDuration, o.retryPeriod, funcr.New(func(_, line string) {
		log.WriteString(line + "\n")
	}, funcr.Options{}))
	lost := errors.New("leader election lost")
	ctx, stop := context.WithCancel(klog.NewContext(t.Context(), logr.Discard()))
	r.stop = stop
	t.Cleanup(stop)
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock: r.lock, ReleaseOnCancel: true,
		LeaseDuration: o.leaseDuration, RenewDeadline: o.renewDeadline, RetryPeriod: o.retryPeriod / pollsPerRetryPeriod,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(ctx context.Context) {
				close(r.leads)
				if err := r.lock.Start(ctx); err != nil {
					lost = err
					stop()
				}
			},
			OnStoppedLeading: func() {},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(r.ended)
		elector.Run(ctx)
		r.err = lost
	}()
	return r
}

// startLeader starts replica a, which is the leader when startLeader returns.
func startLeader(t *testing.T, lease *fakeLease) *replica {
	t.Helper()
	r := startReplica(t, lease, "a")
	<-r.leads
	return r
}

// checkLeads expects that the replica still leads, and has renewed the Lease lately.
func (r *replica) checkLeads(t *testing.T) {
	t.Helper()
	if isClosed(r.ended) || r.lease.holder() != r.identity || r.lock.notRenewedFor() > 3*time.Second {
		t.Errorf("the leader has ended: %v, holder %q, not renewed for %s", r.err, r.lease.holder(), r.lock.notRenewedFor())
	}
}

// awaitEvent returns after a minute, or earlier when an event happens, and how long that took.
func awaitEvent(event <-chan struct{}) time.Duration {
	start := time.Now()
	select {
	case <-event:
	case <-time.After(time.Minute):
	}
	return time.Since(start)
}

func isClosed(event <-chan struct{}) bool {
	synctest.Wait()
	select {
	case <-event:
		return true
	default:
		return false
	}
}

// unavailabilities are failures that decide nothing.
var unavailabilities = map[string]error{
	"network": errors.New("connection refused"),
	"401":     apierrors.NewUnauthorized("Unauthorized"),
	"429":     apierrors.NewTooManyRequests("slow down", 1),
	"500":     apierrors.NewInternalError(errors.New("etcd is unavailable")),
	"503":     apierrors.NewServiceUnavailable("not now"),
}

// TestLeaderOutlivesOutage: an API server that is unavailable takes the Lease from no leader.
func TestLeaderOutlivesOutage(t *testing.T) {
	t.Parallel()
	for name, failure := range unavailabilities {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				lease := &fakeLease{}
				leader := startLeader(t, lease)
				leader.set(failure, failure)
				time.Sleep(10 * time.Minute) //nolint:forbidigo // of synctest
				if age := leader.lock.notRenewedFor(); age < 10*time.Minute || age > 10*time.Minute+2*time.Second {
					t.Errorf("the Lease has not been renewed for %s, want 10m", age)
				}
				leader.set(nil, nil)
				time.Sleep(2 * time.Second) //nolint:forbidigo // of synctest
				if isClosed(leader.ended) || lease.holder() != "a" {
					t.Errorf("the leader has ended: %v, the Lease is held by %q", leader.err, lease.holder())
				}
				if age := leader.lock.notRenewedFor(); age > 2*time.Second {
					t.Errorf("the Lease has not been renewed for %s", age)
				}
				checkWarnings(t, leader.log.String())
			})
		})
	}
}

// checkWarnings: one line at the beginning, few while it lasts, and one at the end.
func checkWarnings(t *testing.T, log string) {
	t.Helper()
	for _, want := range []struct {
		text  string
		count int
	}{
		{`"Failed to renew lease, API server unavailable; continuing as leader until another replica acquires it"`, 1},
		{`"Lease not renewed for 16s; continuing as leader until another replica acquires it"`, 1},
		{`"Lease not renewed for `, 6}, // after 16 s, 32 s, …
		{`"Lease renewed again" "notRenewedFor"="10m`, 1},
	} {
		if count := strings.Count(log, want.text); count != want.count {
			t.Errorf("%d lines with %s, want %d:\n%s", count, want.text, want.count, log)
		}
	}
}

// TestLostLeaseIsGivenUp: while this replica cannot write, another one acquires the Lease. The
// first one sees that by reading, ends, and leaves the Lease to its holder.
func TestLostLeaseIsGivenUp(t *testing.T) {
	t.Parallel()
	for name, failure := range unavailabilities {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				lease := &fakeLease{}
				a := startLeader(t, lease)
				b := startReplica(t, lease, "b")
				a.set(nil, failure)
				if took := awaitEvent(b.leads); took < 13*time.Second || took > 18*time.Second {
					t.Errorf("b became the leader after %s, want about the lease duration", took)
				}
				if both := awaitEvent(a.ended); both > 2*time.Second {
					t.Errorf("two replicas believe to lead for %s, want 2s at most", both)
				}
				if want := `leader election lost: the holder of the lease is "b"`; a.err == nil || a.err.Error() != want {
					t.Errorf("a ends with %v, want %s", a.err, want)
				}
				if lease.holder() != "b" {
					t.Errorf("the Lease is held by %q, want b", lease.holder())
				}
			})
		})
	}
}

// TestFrozenLeaderOutlivesOutage: a process that was stopped for longer than the lease duration
// continues during an outage. No other replica has acquired the Lease.
func TestFrozenLeaderOutlivesOutage(t *testing.T) {
	t.Parallel()
	for name, failure := range unavailabilities {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				leader := startLeader(t, &fakeLease{})
				leader.freezeFor(20 * time.Second)
				time.Sleep(19 * time.Second) //nolint:forbidigo // of synctest
				leader.set(failure, failure)
				time.Sleep(time.Minute) //nolint:forbidigo // of synctest
				leader.set(nil, nil)
				time.Sleep(3 * time.Second) //nolint:forbidigo // of synctest
				leader.checkLeads(t)
			})
		})
	}
}

// TestFrozenLeaderGivesUp: another replica has acquired the Lease meanwhile. The frozen one sees
// that when the outage ends, and leaves the Lease to its holder.
func TestFrozenLeaderGivesUp(t *testing.T) {
	t.Parallel()
	for name, failure := range unavailabilities {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				lease := &fakeLease{}
				a := startLeader(t, lease)
				b := startReplica(t, lease, "b")
				a.freezeFor(20 * time.Second)
				<-b.leads
				a.set(failure, failure)
				time.Sleep(time.Minute) //nolint:forbidigo // of synctest
				a.set(nil, nil)
				if both := awaitEvent(a.ended); both > 2*time.Second {
					t.Errorf("after the outage two replicas believe to lead for %s, want 2s at most", both)
				}
				if isClosed(b.ended) || lease.holder() != "b" {
					t.Errorf("b has ended: %v, the Lease is held by %q", b.err, lease.holder())
				}
			})
		})
	}
}

// TestLeaseOfAnotherHolderIsNotReleased: a replica that was cut off is stopped when it is
// connected again, before it has noticed that another one holds the Lease.
func TestLeaseOfAnotherHolderIsNotReleased(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		lease := &fakeLease{}
		a := startLeader(t, lease)
		b := startReplica(t, lease, "b")
		cut := errors.New("no route to host")
		a.set(cut, cut)
		<-b.leads
		time.Sleep(time.Minute) //nolint:forbidigo // of synctest
		a.set(nil, nil)
		a.stop()
		<-a.ended
		if lease.holder() != "b" {
			t.Errorf("after a has stopped the Lease is held by %q, want b", lease.holder())
		}
	})
}

// TestOwnWriteWithLostAnswer: the next write meets a conflict with the one whose answer was
// lost, and then the API server is unavailable for long. The Lease is still this leader's.
func TestOwnWriteWithLostAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		lease := &fakeLease{}
		leader := startLeader(t, lease)
		refused := errors.New("connection refused")
		leader.set(refused, nil) // the Lease cannot be read after the write either
		leader.loseNextAnswer()
		time.Sleep(4 * time.Second) //nolint:forbidigo // of synctest, until the conflict
		leader.set(refused, refused)
		time.Sleep(time.Minute) //nolint:forbidigo // of synctest
		leader.set(nil, nil)
		time.Sleep(3 * time.Second) //nolint:forbidigo // of synctest
		leader.checkLeads(t)
	})
}

// TestDeletedLease: the Lease is deleted, and creating it again fails for a while.
func TestDeletedLease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		lease := &fakeLease{}
		leader := startLeader(t, lease)
		leader.set(nil, errors.New("connection refused"))
		lease.delete()
		time.Sleep(time.Minute) //nolint:forbidigo // of synctest
		leader.set(nil, nil)
		time.Sleep(3 * time.Second) //nolint:forbidigo // of synctest
		leader.checkLeads(t)
	})
}

// TestRefusedRenewalEndsLeader: a decision of the API server is not an outage.
func TestRefusedRenewalEndsLeader(t *testing.T) {
	t.Parallel()
	for name, refusal := range map[string]error{
		"conflict":  apierrors.NewConflict(leases, "lease", errors.New("the object has been modified")),
		"forbidden": apierrors.NewForbidden(leases, "lease", nil),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				leader := startLeader(t, &fakeLease{})
				leader.set(nil, refusal)
				if took := awaitEvent(leader.ended); took > 13*time.Second {
					t.Errorf("the leader ended after %s, want a retry period and the renew deadline", took)
				}
			})
		})
	}
}

// TestIdleRequests counts what two replicas ask of the API server in a minute.
func TestIdleRequests(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		lease := &fakeLease{}
		startLeader(t, lease)
		lease.requests()
		time.Sleep(time.Minute) //nolint:forbidigo // of synctest
		synctest.Wait()         // for a write at this moment
		if reads, writes := lease.requests(); reads > 0 || writes > 30 || writes < 29 {
			t.Errorf("one replica: %d reads and %d writes a minute, want 0 and 30", reads, writes)
		}
		startReplica(t, lease, "b")
		time.Sleep(time.Minute) //nolint:forbidigo // of synctest
		synctest.Wait()         // for a write at this moment
		if reads, writes := lease.requests(); reads < 55 || reads > 120 || writes > 30 {
			t.Errorf("two replicas: %d reads and %d writes a minute, want about 75 and 30", reads, writes)
		}
	})
}

// TestHandOver measures how soon a standby follows a leader that stops, and one that is killed.
func TestHandOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		lease := &fakeLease{}
		a, b := startLeader(t, lease), startReplica(t, lease, "b")
		time.Sleep(time.Minute) //nolint:forbidigo // of synctest
		a.stop()
		if took := awaitEvent(b.leads); took > 1100*time.Millisecond {
			t.Errorf("after a stop: %s, want 1.1s at most", took)
		}
		if b.lock.notRenewedFor() > 2*time.Second || a.lock.notRenewedFor() != 0 {
			t.Errorf("not renewed for %s by the old leader and %s by the new one", a.lock.notRenewedFor(), b.lock.notRenewedFor())
		}
		c := startReplica(t, lease, "c")
		time.Sleep(time.Minute) //nolint:forbidigo // of synctest
		killed := errors.New("killed")
		b.set(killed, killed)
		if took := awaitEvent(c.leads); took > 17500*time.Millisecond {
			t.Errorf("after a kill: %s, want 17.5s at most", took)
		}
	})
}
