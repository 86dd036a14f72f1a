// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import "time"

// Usage is what a process has consumed since it was started.
type Usage struct {
	// CPU is user and system time together: in steps of 10 ms while the process runs,
	// exact once it has ended.
	CPU time.Duration
	// RSS and PeakRSS are the resident memory now and at its highest, in bytes; both are
	// 0 once the process has ended. (The maximum that wait(2) reports is of no use: it
	// starts from the memory of the parent.)
	RSS, PeakRSS int64
	// Read is how many bytes the process has read from connections and files, with read(2);
	// 0 once it has ended.
	Read int64
}

// Usage returns what the process has consumed so far. While the process runs it needs
// Linux's /proc; elsewhere the error is errors.ErrUnsupported.
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
