// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package doctest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// internal are texts that no user sees, or only as a part of another one.
var internal = []string{
	"the request is for another issuer",
	"nothing to write",
	"the cache does not show yet what the last write met",
	"the issuerRef of the Certificate",
	"%s (from %s)",
	"ENCRYPTED PRIVATE KEY",
	"OPENSSH PRIVATE KEY",
	"Failed to make webhook auth", // dropped from the log
}

// TestMessages finds messages of the code that no page explains. A message is a text of
// three words or more; what is filled in each time may be anything on the page.
func TestMessages(t *testing.T) {
	root := repository(t)
	documented := documentation(t, root)
	count := 0
	for _, folder := range []string{"api", "cmd", "controllers", "signer"} {
		for _, message := range messages(t, filepath.Join(root, folder)) {
			count++
			if !slices.Contains(internal, message) && !pattern(message).MatchString(documented) {
				t.Errorf("docs/troubleshooting.md says nothing about %q", message)
			}
		}
	}
	t.Logf("compared %d messages", count)
}

// messages returns the texts in the code below a directory that a user may read.
func messages(t *testing.T, folder string) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(folder, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(node ast.Node) bool {
			literal, ok := node.(*ast.BasicLit)
			// A raw string is a struct's tag, a pattern or the text of --help.
			if ok && literal.Kind == token.STRING && literal.Value[0] == '"' {
				text, err := strconv.Unquote(literal.Value)
				if err != nil {
					t.Error(err)
				}
				if strings.Count(text, " ") >= 2 {
					found = append(found, text)
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// documentation returns all pages of docs in one, without their marks.
func documentation(t *testing.T, root string) string {
	t.Helper()
	var text strings.Builder
	files, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		page, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		text.Write(page)
	}
	return squeeze(strings.NewReplacer("`", "", `\|`, "|", "\n> ", " ").Replace(text.String()))
}

var verb = regexp.MustCompile(`%[+#]?[a-zA-Z]`)

// pattern matches a message with anything in the place of what is filled in.
func pattern(message string) *regexp.Regexp {
	var parts []string
	for _, part := range verb.Split(squeeze(message), -1) {
		parts = append(parts, regexp.QuoteMeta(part))
	}
	return regexp.MustCompile(strings.Join(parts, `.{1,80}?`))
}
