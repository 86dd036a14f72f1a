// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// outageTolerantLock keeps the Lease while the API server is unavailable. If only this replica is
// disconnected, another one acquires the Lease. outageTolerantLock checks this after each failed renewal,
// and stops the manager. See "Leader election" in DESIGN.md.
type outageTolerantLock struct {
	resourcelock.Interface
	leaseDuration time.Duration
	retryPeriod   time.Duration
	log           logr.Logger
	lost          chan struct{} // closed when another replica has acquired the Lease of this leader

	mu          sync.Mutex
	holder      string                            // in the last response of the API server
	record      resourcelock.LeaderElectionRecord // the last write of this replica
	leading     bool                              // this replica has acquired the Lease, and not released it
	attempted   time.Time                         // the last renewal that client-go considers successful
	renewed     time.Time                         // the last renewal that the API server has accepted
	nextWarning time.Duration                     // the time without a renewal after which to log again; 0 while renewals succeed
}

func newOutageTolerantLock(lock resourcelock.Interface, leaseDuration, retryPeriod time.Duration, log logr.Logger) *outageTolerantLock {
	return &outageTolerantLock{Interface: lock, leaseDuration: leaseDuration, retryPeriod: retryPeriod, log: log, lost: make(chan struct{})}
}

// Start stops the manager when another replica has acquired the Lease. client-go would do this a renew
// deadline later.
func (l *outageTolerantLock) Start(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-l.lost:
		return l.lostError()
	}
}

// NeedLeaderElection is true, because only a leader can lose the Lease.
func (l *outageTolerantLock) NeedLeaderElection() bool { return true }

// Get reads the Lease. client-go calls it for a leader that has not renewed the Lease for the lease
// duration, because the process was frozen. An outage is tolerated as in renew, which client-go calls next.
func (l *outageTolerantLock) Get(ctx context.Context) (*resourcelock.LeaderElectionRecord, []byte, error) {
	record, raw, err := l.read(ctx)
	if isDefinitiveAnswer(err) || l.isLost() {
		return record, raw, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.leading {
		return nil, nil, err
	}
	last := l.record
	raw, err = json.Marshal(last)
	return &last, raw, err
}

func (l *outageTolerantLock) read(ctx context.Context) (*resourcelock.LeaderElectionRecord, []byte, error) {
	record, raw, err := l.Interface.Get(ctx)
	switch {
	case err == nil:
		l.observe(record.HolderIdentity)
	case apierrors.IsNotFound(err):
		l.observe("")
	}
	return record, raw, err
}

// Create creates and acquires a Lease that does not exist.
func (l *outageTolerantLock) Create(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	if err := l.lostError(); err != nil {
		return err
	}
	err := l.Interface.Create(ctx, record)
	switch {
	case err == nil:
		l.recordWrite(record)
	case l.isLeading() && !isDefinitiveAnswer(err):
		l.tolerate(err) // the next renewal finds that there is no Lease
		return nil
	}
	return err
}

// Update acquires, renews or releases the Lease.
func (l *outageTolerantLock) Update(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	switch {
	case record.HolderIdentity == "":
		return l.release(ctx, record)
	case l.isLeading():
		return l.renew(ctx, record)
	default:
		return l.write(ctx, record)
	}
}

// release keeps the Lease of another holder. client-go uses its own last observation, which is outdated
// after renewals without a response.
func (l *outageTolerantLock) release(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	if holder := l.lastHolder(); holder != l.Identity() {
		return fmt.Errorf("not released: the holder of the lease is %q", holder)
	}
	return l.write(ctx, record)
}

// renew returns nil if the renewal is not due, or if the API server is unavailable.
func (l *outageTolerantLock) renew(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	if err := l.lostError(); err != nil {
		return err
	}
	if !l.isDue() {
		return nil
	}
	err := l.write(ctx, record)
	if err == nil || isDefinitiveAnswer(err) {
		return err // after an error, client-go reads the Lease
	}
	if read := l.checkHolder(ctx); apierrors.IsNotFound(read) {
		return read // client-go creates the Lease
	}
	if lost := l.lostError(); lost != nil {
		return lost
	}
	l.tolerate(err)
	return nil
}

func (l *outageTolerantLock) write(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	err := l.Interface.Update(ctx, record)
	if err == nil {
		l.recordWrite(record)
	}
	return err
}

// checkHolder reads the Lease, which can succeed when a write fails.
func (l *outageTolerantLock) checkHolder(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, l.retryPeriod)
	defer cancel()
	_, _, err := l.read(ctx)
	return err
}

func (l *outageTolerantLock) isLeading() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.leading
}

func (l *outageTolerantLock) lastHolder() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.holder
}

// isDue returns whether a retry period has passed since the last attempt to renew. client-go calls more
// often: see pollsPerRetryPeriod.
func (l *outageTolerantLock) isDue() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Since(l.attempted) >= l.retryPeriod
}

// observe records the holder in a response of the API server.
func (l *outageTolerantLock) observe(holder string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.isLost() {
		return
	}
	l.holder = holder
	if l.leading && holder != "" && holder != l.Identity() {
		close(l.lost)
	}
}

// recordWrite records that the API server has accepted a write.
func (l *outageTolerantLock) recordWrite(record resourcelock.LeaderElectionRecord) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if l.nextWarning > 0 {
		l.log.Info("Lease renewed again", "notRenewedFor", now.Sub(l.renewed).Round(time.Second).String())
	}
	l.record, l.holder, l.leading = record, record.HolderIdentity, record.HolderIdentity != ""
	l.attempted, l.renewed, l.nextWarning = now, now, 0
}

// tolerate records that the API server is unavailable, and logs this at growing intervals.
func (l *outageTolerantLock) tolerate(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.attempted = time.Now()
	since := l.attempted.Sub(l.renewed)
	const continuing = "continuing as leader until another replica acquires it"
	switch {
	case l.nextWarning == 0:
		l.log.Info("Failed to renew lease, API server unavailable; "+continuing, "error", err.Error())
		l.nextWarning = l.leaseDuration
	case since >= l.nextWarning:
		l.log.Info(fmt.Sprintf("Lease not renewed for %s; %s", since.Round(time.Second), continuing), "error", err.Error())
		l.nextWarning = 2 * since
	}
}

// notRenewedFor returns how long this replica has been the leader without a renewal. It is 0 for a standby
// and without leader election.
func (l *outageTolerantLock) notRenewedFor() time.Duration {
	if l == nil {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.leading {
		return 0
	}
	return time.Since(l.renewed)
}

func (l *outageTolerantLock) isLost() bool {
	select {
	case <-l.lost:
		return true
	default:
		return false
	}
}

// lostError returns an error if another replica has acquired the Lease. Then this replica must not write
// the Lease again.
func (l *outageTolerantLock) lostError() error {
	if !l.isLost() {
		return nil
	}
	return fmt.Errorf("leader election lost: the holder of the lease is %q", l.lastHolder())
}

// isDefinitiveAnswer returns whether the API server has accepted or rejected a request. 401 is not
// definitive, because the token may be replaced soon.
func isDefinitiveAnswer(err error) bool {
	if err == nil {
		return true
	}
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return false
	}
	switch code := status.Status().Code; code {
	case http.StatusUnauthorized, http.StatusRequestTimeout, http.StatusTooManyRequests:
		return false
	default:
		return code < http.StatusInternalServerError
	}
}
