// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// TestSizeFlags compares names and defaults with cert-manager's, and checks that
// the values reach the controllers.
func TestSizeFlags(t *testing.T) {
	parse := func(args ...string) (options, error) {
		var o options
		flags := pflag.NewFlagSet("", pflag.ContinueOnError)
		o.addFlags(flags)
		if err := flags.Parse(args); err != nil {
			t.Fatal(err)
		}
		return o, o.validate()
	}
	for _, test := range []struct {
		args             []string
		certificate, key int
		err              string
	}{
		{nil, 36500, 13000, ""},
		{[]string{"--max-certificate-size=100000", "--max-private-key-size=20000"}, 100000, 20000, ""},
		{[]string{"--max-certificate-size=0"}, 0, 0, "--max-certificate-size=0: must be from 1 to 1048576"},
		{[]string{"--max-private-key-size=-1"}, 0, 0, "--max-private-key-size=-1: must be from 1 to 1048576"},
		{[]string{"--max-certificate-size=1048577"}, 0, 0, "--max-certificate-size=1048577: must be from 1 to 1048576"},
	} {
		o, err := parse(test.args...)
		if test.err != "" {
			if err == nil || err.Error() != test.err {
				t.Errorf("%s: got error %v, want %q", strings.Join(test.args, " "), err, test.err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%v: %v", test.args, err)
		}
		if got := controllerOptions(o); got.MaxCertificateSize != test.certificate || got.MaxPrivateKeySize != test.key {
			t.Errorf("%v: got %d and %d, want %d and %d", test.args, got.MaxCertificateSize, got.MaxPrivateKeySize, test.certificate, test.key)
		}
	}
}
