// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package docgen

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

const (
	root = "../.."
	page = root + "/docs/troubleshooting.md"
)

var (
	// lineTable matches a table of lines of the log, with its rows.
	lineTable = regexp.MustCompile(`(?m)^\| (?:Line|Line in the log|The message contains) \|.*\n\| ---.*\n((?:\|.*\n)+)`)
	cell      = regexp.MustCompile(`^\| (.*?[^\\]) \|`)
	code      = regexp.MustCompile("`([^`]+)`")
	verb      = regexp.MustCompile(`%[+#]?[a-zA-Z]`)
)

// TestLinesExist finds lines on the page that the code does not write. … stands for a variable part.
func TestLinesExist(t *testing.T) {
	content, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	literals := append(texts(t, "api", "cmd", "controllers", "signer"),
		"unknown flag: …", "invalid argument …", // of pflag
		"leader election lost", // of controller-runtime
	)
	tables := lineTable.FindAllStringSubmatch(string(content), -1)
	lines := 0
	for _, table := range tables {
		for row := range strings.Lines(table[1]) {
			first := quote.ReplaceAllString(cell.FindString(row), "")
			for _, line := range code.FindAllStringSubmatch(first, -1) {
				lines++
				line := strings.TrimPrefix(strings.TrimPrefix(line[1], "Not ready: "), "stopped: ")
				if !slices.ContainsFunc(literals, func(text string) bool { return strings.Contains(text, line) }) {
					t.Errorf("no text in the code contains %q", line)
				}
			}
		}
	}
	if lines < 20 {
		t.Errorf("found %d lines in %d tables", lines, len(tables))
	}
}

// texts returns the string literals in the code below directories, with … for each verb.
func texts(t *testing.T, directories ...string) []string {
	t.Helper()
	var found []string
	for _, directory := range directories {
		err := filepath.WalkDir(filepath.Join(root, directory), func(path string, _ fs.DirEntry, err error) error {
			if err != nil || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(node ast.Node) bool {
				expression, ok := node.(ast.Expr)
				if text := textOf(expression); ok && text != filledIn {
					found = append(found, text)
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return found
}

const filledIn = "…"

// textOf returns a literal, or a concatenation, with … for whatever else is in it.
func textOf(expression ast.Expr) string {
	switch expression := expression.(type) {
	case *ast.BasicLit:
		if text, err := strconv.Unquote(expression.Value); err == nil && expression.Kind == token.STRING {
			return verb.ReplaceAllString(text, filledIn)
		}
	case *ast.BinaryExpr:
		if expression.Op == token.ADD {
			return textOf(expression.X) + textOf(expression.Y)
		}
	}
	return filledIn
}
