// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// TestLeaderElectionFlags: what client-go would refuse is refused with the flag's name.
func TestLeaderElectionFlags(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"": "",
		"--leader-election-lease-duration=60s --leader-election-renew-deadline=40s --leader-election-retry-period=10s": "",
		"--leader-election-retry-period=0s":        "--leader-election-retry-period=0s: want 100ms or more",
		"--leader-election-retry-period=10s":       "--leader-election-renew-deadline=10s: want more than 1.2 times --leader-election-retry-period, which is 10s",
		"--leader-election-renew-deadline=15s":     "--leader-election-lease-duration=15s: want more than --leader-election-renew-deadline, which is 15s",
		"--leader-election-lease-duration=10500ms": "--leader-election-lease-duration=10.5s: want whole seconds",
	} {
		var o options
		flags := pflag.NewFlagSet("", pflag.ContinueOnError)
		o.addFlags(flags)
		if err := flags.Parse(strings.Fields(args)); err != nil {
			t.Fatal(err)
		}
		got := ""
		if err := o.validate(); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", args, got, want)
		}
	}
}
