// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/cert-manager/selfsigned-issuer/internal/docgen"
)

// refusedFlags has a command line for each rule of validate.
var refusedFlags = []string{
	"--kube-api-qps=0",
	"--kube-api-burst=0",
	"--max-concurrent-reconciles=0",
	"--key-mismatch-grace-period=-1s",
	"--max-certificate-size=0",
	"--max-private-key-size=1048577",
	"--log-level=8",
	"--log-format=xml",
	"--metrics-bind-address=8080",
	"--cluster-resource-namespace=A",
	"--namespaces=",
	"--namespaces=sandbox --enable-certificate-signing-requests",
	"--metrics-client-ca-file=ca.crt",
	// Rules of client-go.
	"--leader-election-retry-period=0s",
	"--leader-election-retry-period=10s",
	"--leader-election-renew-deadline=15s",
	"--leader-election-lease-duration=10500ms",
}

// otherErrors are errors of libraries, or about missing files.
var otherErrors = []string{
	"--no-such-flag",
	"--max-concurrent-reconciles=many",
	"run",
	"--metrics-secure --metrics-cert-dir=/nowhere",
	"--kubeconfig=/nowhere",
	"--kubeconfig=testdata/kubeconfig",
}

// TestGeneratedExitErrors compares the texts of all errors.
func TestGeneratedExitErrors(t *testing.T) {
	var text strings.Builder
	for _, args := range slices.Concat(refusedFlags, otherErrors) {
		err := Run(t.Context(), strings.Fields(args), io.Discard, io.Discard)
		fmt.Fprintf(&text, "%s\n  %v\n", args, err)
	}
	docgen.File(t, "testdata/exit-errors.txt", text.String())
}

func TestAcceptedFlags(t *testing.T) {
	t.Parallel()
	for _, args := range []string{
		"",
		"--leader-election-lease-duration=60s --leader-election-renew-deadline=40s --leader-election-retry-period=10s",
		"--kube-api-qps=-1",
		"--namespaces=a,b",
		"--metrics-bind-address=0 --health-probe-bind-address=0",
	} {
		var o options
		flags := pflag.NewFlagSet("", pflag.ContinueOnError)
		o.addFlags(flags)
		if err := flags.Parse(strings.Fields(args)); err != nil {
			t.Fatal(err)
		}
		if err := o.validate(); err != nil {
			t.Errorf("%s: %v", args, err)
		}
	}
}
