// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"
)

func TestParseOptionsRefuses(t *testing.T) {
	tests := map[string]struct {
		args string
		want string
	}{
		"no kubeconfig":        {"--no-webhook", "--kubeconfig is required"},
		"nothing to run":       {"--kubeconfig=k --no-webhook --webhook-only", "cannot be used together"},
		"no workers":           {"--kubeconfig=k --no-webhook --concurrent-workers=0", "must be at least 1"},
		"unknown controller":   {"--kubeconfig=k --no-webhook --controllers=bogus", `no controller is called "bogus"`},
		"webhook no address":   {"--kubeconfig=k --tls-cert-file=c --tls-private-key-file=k", "--webhook-address: want host:port"},
		"webhook no key":       {"--kubeconfig=k --webhook-address=127.0.0.1:1 --tls-cert-file=c", "needs --tls-cert-file and --tls-private-key-file"},
		"unknown feature gate": {"--kubeconfig=k --no-webhook --feature-gates=Bogus=true", "unrecognized feature gate: Bogus"},
		"argument":             {"--kubeconfig=k --no-webhook extra", `unexpected argument "extra"`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := parseOptions(strings.Fields(test.args))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got error %v, want one with %q", err, test.want)
			}
		})
	}
}

func TestWebhookKubeconfigDefaultsToTheControllers(t *testing.T) {
	opts, err := parseOptions([]string{"--kubeconfig=k", "--no-webhook"})
	if err != nil {
		t.Fatal(err)
	}
	if opts.webhookKubeconfig != "k" {
		t.Errorf("got %q, want k", opts.webhookKubeconfig)
	}
}
