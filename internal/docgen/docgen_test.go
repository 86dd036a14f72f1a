// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package docgen

import (
	"maps"
	"os"
	"path/filepath"
	"testing"
)

// TestQuotesAreWritten: only blocks and inline quotes are replaced.
func TestQuotesAreWritten(t *testing.T) {
	const (
		page = `# Page

<!--quote:a:Block one-->
> old
<!--/quote-->

| <!--quote:a:inline-->old<!--/quote--> | text | <!--quote:b:inline-->other<!--/quote--> |
`
		want = "# Page\n\n<!--quote:a:Block one-->\n> new | text\n<!--/quote-->\n\n" +
			"| <!--quote:a:inline-->`x \\| y`<!--/quote--> | text | <!--quote:b:inline-->`other`<!--/quote--> |\n" +
			"\n### New\n\n<!--quote:New-->\n> added\n<!--/quote-->\n"
	)
	path := filepath.Join(t.TempDir(), "page.md")
	if err := os.WriteFile(path, []byte(page), 0o600); err != nil {
		t.Fatal(err)
	}
	was := *update
	*update = true
	defer func() { *update = was }()
	Section(t, path, "New")
	Section(t, path, "New")
	quoted := Quotes(t, path, "a:", map[string]string{"Block one": "> new | text", "inline": "x | y", "unused": "z"})
	Quotes(t, path, "", map[string]string{"New": "> added", "a:Block one": "> new | text", "a:inline": "x | y", "b:inline": "other"})
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if !maps.Equal(quoted, map[string]bool{"Block one": true, "inline": true}) {
		t.Errorf("quoted are %v", quoted)
	}
}

func TestFirstDifference(t *testing.T) {
	for _, test := range []struct {
		a, b     string
		line     int
		inA, inB string
	}{
		{"a\nb\nc", "a\nx\nc", 2, "b", "x"},
		{"a", "a\nb", 2, "", "b"},
		{"a\nb", "a", 2, "b", ""},
	} {
		if line, inA, inB := firstDifference(test.a, test.b); line != test.line || inA != test.inA || inB != test.inB {
			t.Errorf("%q and %q: line %d, %q and %q", test.a, test.b, line, inA, inB)
		}
	}
}
