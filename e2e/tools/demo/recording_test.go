// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"strings"
	"testing"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
)

// The recording in the README must be of this demo.
func TestRecordingIsFresh(t *testing.T) {
	recording, err := os.ReadFile("../../../docs/demo.svg")
	expect.NoError(t, err)
	for _, step := range (&story{}).steps() {
		expect.True(t, strings.Contains(string(recording), step.title), "docs/demo.svg does not have the step %q: run make demo-svg", step.title)
	}
}
