// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package page

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/repo"
)

func readText(t *testing.T, text string) (*Page, error) {
	t.Helper()
	root := t.TempDir()
	repo.WriteFile(t, strings.ReplaceAll(text, "'''", "```"), root, "page.md")
	return Read(root, "page.md")
}

func TestInvalidBlocks(t *testing.T) {
	for text, want := range map[string]string{
		"# A\n\n    echo indented\n":                         "page.md:3: an indented block has no type: use a fenced block",
		"'''\necho\n'''\n":                                   `page.md:2: a block opened by "" has no type that package page supports`,
		"'''bash\necho\n'''\n":                               `page.md:2: a block opened by "bash" has no type that package page supports`,
		"'''sh not-run=\"\"\necho\n'''\n":                    `page.md:2: a block opened by "sh not-run=\"\"" has no type that package page supports`,
		"'''text\nwords\n'''\n":                              `page.md:2: "text": it needs "output" or a not-run reason`,
		"'''sh\ntrue\n'''\n\n- a list\n\n  '''sh x\n  '''\n": `page.md:0: a block opened by "sh x" has no type that package page supports`,
	} {
		if _, err := readText(t, text); err == nil || err.Error() != want {
			t.Errorf("%q\n got %v\nwant %s", text, err, want)
		}
	}
}

// A page is one program: variables persist, files are saved, and output is compared.
func TestPageRuns(t *testing.T) {
	const text = `
'''sh
name=world
'''
'''yaml file="directory/file.yaml"
key: value
'''
'''sh not-run="it would fail"
false
'''
'''sh
echo "hello   $name at $RANDOM"; cat directory/file.yaml
'''
'''text output
hello world at …
key: value
'''
`
	page, outputs, err := follows(t, text)
	expect.NoError(t, err)
	expect.Equal(t, "output", "", page.Compare(outputs))
	page, outputs, err = follows(t, strings.ReplaceAll(text, "hello world", "good bye"))
	expect.NoError(t, err)
	difference := page.Compare(outputs)
	want := "page.md:12 does not print the output on the page, but:\nhello   world at "
	expect.True(t, strings.HasPrefix(difference, want), "a different output is accepted: %q", difference)
}

func TestPageStopsAtTheFirstFailure(t *testing.T) {
	page, outputs, err := follows(t, "'''sh\necho before\nfalse | true\n'''\n\n'''sh\necho after\n'''\n")
	if err == nil {
		t.Fatal("a failed command is not reported")
	}
	expect.Equal(t, "stopped", "in the block at page.md:2, which printed:\nbefore\n", page.StoppedAt(outputs))
}

func follows(t *testing.T, text string) (page *Page, outputs string, err error) {
	t.Helper()
	page, err = readText(t, text)
	expect.NoError(t, err)
	outputs = t.TempDir()
	bash := exec.CommandContext(t.Context(), "bash", "-c", page.Script(outputs))
	bash.Dir = t.TempDir()
	return page, outputs, bash.Run()
}
