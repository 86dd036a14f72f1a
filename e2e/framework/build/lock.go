// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
)

// lock makes this process the only builder of an entry. The kernel releases the lock of a process
// that ends. onWait is called if another process has the lock.
func lock(ctx context.Context, entry string, onWait func()) (unlock func(), err error) {
	if err := os.MkdirAll(entry, 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(entry, ".lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	release := func() { _ = f.Close() } // closing releases the lock

	err = flock(f, syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		return release, nil
	}
	if !errors.Is(err, syscall.EWOULDBLOCK) {
		release()
		return nil, &os.PathError{Op: "flock", Path: f.Name(), Err: err}
	}
	onWait()
	locked := make(chan error)
	go func() {
		// flock(2) cannot be canceled, so the caller may have returned.
		err := flock(f, syscall.LOCK_EX)
		select {
		case locked <- err:
		case <-ctx.Done():
			release()
		}
	}()
	select {
	case err := <-locked:
		return release, err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func flock(f *os.File, how int) error {
	for {
		// Signals of the Go runtime may interrupt the call.
		if err := syscall.Flock(int(f.Fd()), how); !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}
