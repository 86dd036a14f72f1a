// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/release"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/repo"
)

// TestRemoteBase tags a release in a copy of the repository. With this tag as a remote base, every
// overlay has the published image and is the same as in a clone: it uses no files that kustomize
// does not fetch.
func TestRemoteBase(t *testing.T) {
	const tag = release.Rehearsal
	repository := t.TempDir()
	repo.Run(t, repo.Root(t), nil, "cp", "-r", "deploy", "docs", "CHANGELOG.md", "README.md", repository)
	expect.NoError(t, (release.Release{Version: tag, Registry: "registry.example.com/rehearsal"}).Prepare(repository, time.Now()))
	for _, args := range [][]string{
		{"init", "--quiet", "--initial-branch=main"},
		{"add", "."},
		{"-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false", "commit", "--quiet", "--message=test"},
		{"-c", "tag.gpgsign=false", "tag", tag},
	} {
		repo.Run(t, repository, nil, "git", args...)
	}
	for _, path := range list(t, "deploy/overlays/*/kustomization.yaml") {
		overlay := filepath.Dir(path)
		t.Run(filepath.Base(overlay), func(t *testing.T) {
			clone, err := filepath.Rel(repo.Root(t), filepath.Join(repository, overlay))
			expect.NoError(t, err)
			got := mustRender(t, repo.Kustomization(t, "resources: ['file://"+repository+"//"+overlay+"?ref="+tag+"']\n"))
			expect.Equal(t, "clone and remote base", mustRender(t, clone), got)
			image := container(t, index(t, overlay, got)).Image
			expect.Equal(t, "image", "registry.example.com/rehearsal/selfsigned-issuer:"+tag, image)
		})
	}
}
