// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"regexp"
	"strings"
	"testing"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/repo"
)

// TestNamedTestsExist finds names of tests on pages that do not exist.
func TestNamedTestsExist(t *testing.T) {
	t.Parallel()
	functions := repo.Run(t, repo.Root(t), nil, "git", "grep", "--untracked", "-hoE", `^func (Test|Fuzz)[A-Za-z0-9_]+\(`, "--", "*_test.go")
	named := regexp.MustCompile("`((?:Test|Fuzz)\\w+)`")
	for _, path := range []string{"docs/reliability.md", "docs/where-it-fits.md", "SECURITY.md"} {
		for _, match := range named.FindAllStringSubmatch(repo.Read(t, path), -1) {
			expect.True(t, strings.Contains(functions, "func "+match[1]+"("), "%s names %s, which does not exist", path, match[1])
		}
	}
}

// TestLicensesPage finds shipped modules that are not on the page of licenses.
func TestLicensesPage(t *testing.T) {
	t.Parallel()
	page := repo.Read(t, "docs/licenses.md")
	modules := repo.Run(t, repo.Root(t), nil, "go", "list", "-deps", "-f", "{{with .Module}}{{.Path}} {{.Version}}{{end}}",
		"./cmd/selfsigned-issuer")
	for line := range strings.Lines(modules) {
		path, version, dependency := strings.Cut(strings.TrimSpace(line), " ")
		if !dependency {
			continue
		}
		row := regexp.MustCompile(`(?m)^\| ` + regexp.QuoteMeta(path) + `(/\S*)? \| ` + regexp.QuoteMeta(version) + ` \|`)
		expect.True(t, row.MatchString(page), "docs/licenses.md does not have %s %s: run `make licenses`", path, version)
	}
}
