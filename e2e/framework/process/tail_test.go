// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
)

func TestTail(t *testing.T) {
	tests := map[string]struct {
		log  string
		n    int
		want string
	}{
		"empty":           {n: 3, want: "(the log is empty)"},
		"shorter":         {log: "a\nb\n", n: 3, want: "a\nb"},
		"longer":          {log: "a\nb\nc\nd\n", n: 2, want: "c\nd"},
		"no last newline": {log: "a\nb", n: 1, want: "b"},
		"beyond bound":    {log: "a\n" + strings.Repeat("x", 2*maxTailBytes), n: 9, want: strings.Repeat("x", maxTailBytes)},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "log")
			expect.NoError(t, os.WriteFile(path, []byte(test.log), 0o600))
			if got := Tail(path, test.n); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
	if got := Tail("/does/not/exist", 1); !strings.Contains(got, "cannot be read") {
		t.Errorf("got %q", got)
	}
}
