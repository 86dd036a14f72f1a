// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package certmanager

import (
	"slices"
	"testing"
)

func TestProgramsAndFlags(t *testing.T) {
	common := "--cluster-resource-namespace=" + Namespace
	selfSigned := "certificaterequests-issuer-selfsigned"
	tests := map[string]struct {
		options Options
		want    map[string][]string
	}{
		"one process by default": {
			Options{},
			map[string][]string{"cert-manager": {common}},
		},
		"everything set": {
			Options{
				Controllers: []string{"issuers"}, QPS: 2.5, Burst: 7, Workers: 3,
				FeatureGates: map[string]bool{"OtherNames": false, "NameConstraints": true}, Args: []string{"-v=4"},
			},
			map[string][]string{"cert-manager": {
				common, "--controllers=issuers", "--kube-api-qps=2.5", "--kube-api-burst=7", "--concurrent-workers=3",
				"--feature-gates=NameConstraints=true", "--feature-gates=OtherNames=false", "-v=4",
			}},
		},
		"processes apart": {
			Options{OwnProcess: []string{selfSigned}, WebhookApart: true},
			map[string][]string{
				"cert-manager":               {common, "--no-webhook", "--controllers=-" + selfSigned},
				"cert-manager-" + selfSigned: {common, "--no-webhook", "--controllers=" + selfSigned},
				"cert-manager-webhook":       {common, "--webhook-only"},
			},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			programs := test.options.programs()
			if len(programs) != len(test.want) {
				t.Errorf("got %d processes, want %d", len(programs), len(test.want))
			}
			for _, program := range programs {
				if got := test.options.flags(program); !slices.Equal(got, test.want[program.name]) {
					t.Errorf("%s: got %v, want %v", program.name, got, test.want[program.name])
				}
			}
		})
	}
}
