// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of the times in /proc/<pid>/stat: USER_HZ is 100 on every
// architecture that Go runs on.
const tick = 10 * time.Millisecond

func readUsage(pid int) (Usage, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return Usage{}, err
	}
	cpu, err := parseStat(string(stat))
	if err != nil {
		return Usage{}, err
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return Usage{}, err
	}
	io, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", pid))
	if err != nil {
		return Usage{}, err
	}
	usage := Usage{CPU: cpu}
	if usage.RSS, err = parseStatus(string(status), "VmRSS:"); err != nil {
		return Usage{}, err
	}
	if usage.PeakRSS, err = parseStatus(string(status), "VmHWM:"); err != nil {
		return Usage{}, err
	}
	usage.Read, err = parseStatus(string(io), "rchar:")
	return usage, err
}

// parseStat returns utime + stime, fields 14 and 15 of /proc/<pid>/stat (proc_pid_stat(5)).
func parseStat(stat string) (time.Duration, error) {
	// Field 2, the program's name in parentheses, can contain spaces and parentheses: fields are
	// counted after the last one.
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	const utime, stime = 14 - 3, 15 - 3
	if len(fields) <= stime {
		return 0, fmt.Errorf("unexpected /proc/<pid>/stat %q", stat)
	}
	user, err := strconv.ParseInt(fields[utime], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("utime in /proc/<pid>/stat: %w", err)
	}
	system, err := strconv.ParseInt(fields[stime], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("stime in /proc/<pid>/stat: %w", err)
	}
	return time.Duration(user+system) * tick, nil
}

// parseStatus returns a size of /proc/<pid>/status or /proc/<pid>/io (proc_pid_status(5),
// proc_pid_io(5)) in bytes.
func parseStatus(status, key string) (int64, error) {
	for line := range strings.Lines(status) {
		if value, found := strings.CutPrefix(line, key); found {
			number, inKiB := strings.CutSuffix(strings.TrimSpace(value), " kB")
			size, err := strconv.ParseInt(number, 10, 64)
			if inKiB {
				size <<= 10
			}
			return size, err
		}
	}
	// A zombie process has no such lines.
	return 0, nil
}
