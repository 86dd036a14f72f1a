// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package console

import (
	"strings"
	"testing"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
)

func TestBlockFitsTheTerminal(t *testing.T) {
	long := strings.Repeat("x", 90)
	for text, want := range map[string]string{
		"short":                   "   short\n",
		"two\n  lines\n":          "   two\n     lines\n",
		strings.Repeat("é", 77):   "   " + strings.Repeat("é", 77) + "\n",
		strings.Repeat("ab ", 30): "   " + strings.TrimSpace(strings.Repeat("ab ", 26)) + "\n       " + strings.TrimSpace(strings.Repeat("ab ", 4)) + "\n",
		long:                      "   " + long + "\n",
		long + " after " + long:   "   " + long + "\n       after\n       " + long + "\n",
	} {
		var out strings.Builder
		New(&out).Block(text)
		expect.True(t, out.String() == want, "Block(%q)\n got %q\nwant %q", text, out.String(), want)
	}
}
