// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"io"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// TestHelp checks that --help has every flag in its section, the exit statuses, and no line of more than 80
// columns.
func TestHelp(t *testing.T) {
	for _, flag := range []string{"--help", "-h"} {
		var out strings.Builder
		if err := Run(t.Context(), []string{flag}, &out, io.Discard); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(out.String()) {
			if len(line) > helpWidth+1 {
				t.Errorf("%s prints a line of %d columns: %q", flag, len(line)-1, line)
			}
		}
		_, rest, _ := strings.Cut(out.String(), "Usage:\n")
		for _, group := range flagGroups {
			before, after, found := strings.Cut(rest, "\n"+group.title+":\n")
			if !found {
				t.Errorf("%s has no topic %q after\n%s", flag, group.title, before)
			}
			flags := pflag.NewFlagSet("", pflag.ContinueOnError)
			group.add(new(options), flags)
			topic, _, _ := strings.Cut(after, "\n\n")
			flags.VisitAll(func(f *pflag.Flag) {
				if !strings.Contains(topic, " --"+f.Name+" ") {
					t.Errorf("%s lacks --%s below %q", flag, f.Name, group.title)
				}
			})
			rest = after
		}
		if !strings.Contains(rest, "\nExit status:\n  0  ") {
			t.Errorf("%s does not end with the exit statuses:\n%s", flag, rest)
		}
	}
}
