// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package release

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/repo"
)

const logBefore = `# Changelog

## [Unreleased]

### Added

- A change.

[Unreleased]: https://github.com/cert-manager/selfsigned-issuer/commits/main
`

var date = time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)

// newRepository returns a directory with one file of each kind that contains a release.
func newRepository(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for path, content := range map[string]string{
		changelog:     logBefore,
		compatibility: "| cert-manager | v1.21 (v1.21.2) | x |\n| | v1.20 (v1.20.3) | x |\n| Kubernetes | v1.36 (v1.36.3) | x |\n\n| Release | cert-manager | Kubernetes |\n| --- | --- | --- |\n",
		deployment:    "        image: ghcr.io/cert-manager/selfsigned-issuer:v0.1.0\n",
		"README.md":   "kubectl apply -f https://github.com/cert-manager/selfsigned-issuer/releases/download/v0.1.0/install.yaml\nhelm install oci://ghcr.io/cert-manager/charts/selfsigned-issuer --version 0.1.0\nhttps://raw.githubusercontent.com/cert-manager/selfsigned-issuer/v0.1.0/deploy/x.yaml\n",
		"deploy/charts/selfsigned-issuer/values.yaml": "image:\n  registry: ghcr.io\n  repository: cert-manager/selfsigned-issuer\n",
		"deploy/charts/selfsigned-issuer/Chart.yaml":  "version: 0.1.0\nappVersion: v0.1.0\n",
		"deploy/examples/gitops.yaml":                 "    tag: v0.1.0\n    targetRevision: v0.1.0\n",
		"docs/upgrade.md":                             "Before v0.1.0 the overlays contained it. https://github.com/cert-manager/selfsigned-issuer//deploy/crds?ref=v0.1.0\n",
		"e2e/elsewhere.md":                            "selfsigned-issuer:v0.1.0\n",
		dockerfile:                                    "url=\"https://github.com/cert-manager/selfsigned-issuer\"\n",
	} {
		path = filepath.Join(root, path)
		expect.NoError(t, os.MkdirAll(filepath.Dir(path), 0o750))
		repo.WriteFile(t, content, path)
	}
	return root
}

func expectFile(t *testing.T, root, path, want string) {
	t.Helper()
	expect.Equal(t, path, want, repo.ReadFile(t, root, path))
}

func TestPrepare(t *testing.T) {
	root := newRepository(t)
	expect.NoError(t, (Release{"v0.2.0", "registry.example.com/fork"}).Prepare(root, date))
	expectFile(t, root, deployment, "        image: registry.example.com/fork/selfsigned-issuer:v0.2.0\n")
	expectFile(t, root, "README.md", "kubectl apply -f https://github.com/fork/selfsigned-issuer/releases/download/v0.2.0/install.yaml\nhelm install oci://registry.example.com/fork/charts/selfsigned-issuer --version 0.2.0\nhttps://raw.githubusercontent.com/fork/selfsigned-issuer/v0.2.0/deploy/x.yaml\n")
	expectFile(t, root, "deploy/charts/selfsigned-issuer/values.yaml", "image:\n  registry: registry.example.com\n  repository: fork/selfsigned-issuer\n")
	expectFile(t, root, "deploy/charts/selfsigned-issuer/Chart.yaml", "version: 0.2.0\nappVersion: v0.2.0\n")
	expectFile(t, root, "deploy/examples/gitops.yaml", "    tag: v0.2.0\n    targetRevision: v0.2.0\n")
	expectFile(t, root, "docs/upgrade.md", "Before v0.1.0 the overlays contained it. https://github.com/fork/selfsigned-issuer//deploy/crds?ref=v0.2.0\n")
	expectFile(t, root, "e2e/elsewhere.md", "selfsigned-issuer:v0.1.0\n")
	expectFile(t, root, dockerfile, "url=\"https://github.com/fork/selfsigned-issuer\"\n")
	expectFile(t, root, compatibility, "| cert-manager | v1.21 (v1.21.2) | x |\n| | v1.20 (v1.20.3) | x |\n| Kubernetes | v1.36 (v1.36.3) | x |\n\n"+
		"| Release | cert-manager | Kubernetes |\n| --- | --- | --- |\n| v0.2.0 | v1.21, v1.20 | v1.36 |\n")
	expectFile(t, root, changelog, `# Changelog

## [Unreleased]

## [0.2.0] - 2026-12-01

### Added

- A change.

[Unreleased]: https://github.com/cert-manager/selfsigned-issuer/compare/v0.2.0...main
[0.2.0]: https://github.com/cert-manager/selfsigned-issuer/releases/tag/v0.2.0
`)
}

// A second release is compared with the first.
func TestPrepareNext(t *testing.T) {
	root := newRepository(t)
	for _, version := range []string{"v0.1.0", "v0.1.1"} {
		expect.NoError(t, (Release{version, "ghcr.io/cert-manager"}).Prepare(root, date))
	}
	page := repo.ReadFile(t, root, changelog)
	for _, want := range []string{
		"## [Unreleased]\n\n## [0.1.1] - 2026-12-01\n\n## [0.1.0] - 2026-12-01\n",
		"[0.1.1]: https://github.com/cert-manager/selfsigned-issuer/compare/v0.1.0...v0.1.1\n",
	} {
		expect.True(t, strings.Contains(page, want), "no %q in\n%s", want, page)
	}
}

func TestPrepareRefuses(t *testing.T) {
	root := newRepository(t)
	expect.NoError(t, (Release{"v0.1.0", "ghcr.io/cert-manager"}).Prepare(root, date))
	for _, test := range []struct {
		release Release
		want    string
	}{
		{Release{"0.2.0", "ghcr.io/cert-manager"}, `"0.2.0" is not a version such as v0.1.0`},
		{Release{"v2.0.0", "ghcr.io/cert-manager"}, `"v2.0.0" is not a version such as v0.1.0`},
		{Release{"v0.2.0", "ghcr.io"}, `"ghcr.io" is not a registry and an organization, such as ghcr.io/cert-manager`},
		{Release{"v0.1.0", "ghcr.io/cert-manager"}, "the changelog has a section for v0.1.0 already"},
	} {
		err := test.release.Prepare(root, date)
		expect.True(t, err != nil && strings.Contains(err.Error(), test.want), "error %v, want %s", err, test.want)
	}
}
