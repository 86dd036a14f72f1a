// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"strings"
	"testing"
)

// The recording in the README must be of this demo.
func TestRecordingIsFresh(t *testing.T) {
	recording, err := os.ReadFile("../../../docs/demo.svg")
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range (&story{}).steps() {
		if !strings.Contains(string(recording), step.title) {
			t.Errorf("docs/demo.svg does not have the step %q: run make demo-svg", step.title)
		}
	}
}
