// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"errors"
	"time"

	"github.com/prometheus/procfs"
)

// tick is the unit of the times in /proc/<pid>/stat.
const tick = 10 * time.Millisecond

// Usage is the resource usage of a process since its start.
type Usage struct {
	// CPU is the sum of user and system time, in steps of 10 ms until the process ends.
	CPU time.Duration
	// RSS and PeakRSS are the current and the highest resident memory in bytes, and 0 after the
	// process has ended. (The maximum of wait(2) includes the memory of the parent.)
	RSS, PeakRSS int64
	// Read is the number of bytes read with read(2), and 0 after the process has ended.
	Read int64
}

// Usage returns the resource usage of the process. While it runs, this needs Linux.
func (p *Process) Usage() (Usage, error) {
	if p.Running() {
		usage, err := readUsage(p.PID())
		if err == nil || p.Running() {
			return usage, err
		}
	}
	<-p.done
	state := p.cmd.ProcessState
	return Usage{CPU: state.UserTime() + state.SystemTime()}, nil
}

func readUsage(pid int) (Usage, error) {
	proc, err := procfs.NewProc(pid)
	if err != nil {
		return Usage{}, err
	}
	stat, statErr := proc.Stat()
	status, statusErr := proc.NewStatus()
	io, ioErr := proc.IO()
	return Usage{
		CPU:     time.Duration(stat.CPUTime() * float64(time.Second)).Round(tick),
		RSS:     int64(status.VmRSS), //nolint:gosec // far below 1<<63
		PeakRSS: int64(status.VmHWM), //nolint:gosec // far below 1<<63
		Read:    int64(io.RChar),     //nolint:gosec // far below 1<<63
	}, errors.Join(statErr, statusErr, ioErr)
}
