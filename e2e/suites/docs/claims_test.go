// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
)

// TestNamedTestsExist finds names of tests on pages that do not exist.
func TestNamedTestsExist(t *testing.T) {
	t.Parallel()
	root := repository(t)
	there := map[string]bool{}
	function := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		for _, match := range function.FindAllSubmatch(source, -1) {
			there[string(match[1])] = true
		}
		return err
	})
	expect.NoError(t, err)
	named := regexp.MustCompile("`((?:Test|Fuzz)\\w+)`")
	for _, path := range []string{"docs/reliability.md", "SECURITY.md"} {
		page, err := os.ReadFile(filepath.Join(root, path))
		expect.NoError(t, err)
		for _, match := range named.FindAllSubmatch(page, -1) {
			if name := string(match[1]); !there[name] {
				t.Errorf("%s names %s, which does not exist", path, name)
			}
		}
	}
}

// TestLicensesPage finds shipped modules that are not on the page of licenses.
func TestLicensesPage(t *testing.T) {
	t.Parallel()
	root := repository(t)
	page, err := os.ReadFile(filepath.Join(root, "docs", "licenses.md"))
	expect.NoError(t, err)
	list := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{with .Module}}{{.Path}} {{.Version}}{{end}}", "./cmd/selfsigned-issuer")
	list.Dir = root
	modules, err := list.Output()
	expect.NoError(t, err)
	for line := range strings.Lines(string(modules)) {
		path, version, dependency := strings.Cut(strings.TrimSpace(line), " ")
		if !dependency {
			continue
		}
		if !regexp.MustCompile(`(?m)^\| ` + regexp.QuoteMeta(path) + `(/\S*)? \| ` + regexp.QuoteMeta(version) + ` \|`).Match(page) {
			t.Errorf("docs/licenses.md does not have %s %s: run `make licenses`", path, version)
		}
	}
}
