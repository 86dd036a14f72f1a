// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"testing"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/repo"
)

// buildFiles are copied, so that changes can be tested before they are committed.
var buildFiles = []string{".gitignore", ".dockerignore", "Dockerfile", "Makefile"}

// cleanClone returns a clone of this repository with the build files committed. All clones have the
// same commit.
func cleanClone(t *testing.T) string {
	t.Helper()
	clone := t.TempDir()
	run(t, "git", "clone", "--quiet", repo.Root(t), clone)
	for _, name := range buildFiles {
		repo.WriteFile(t, repo.Read(t, name), clone, name)
	}
	const noon = "2026-01-01T12:00:00Z"
	t.Setenv("GIT_AUTHOR_DATE", noon)
	t.Setenv("GIT_COMMITTER_DATE", noon)
	git(t, clone, "add", ".")
	git(t, clone, "-c", "user.name=test", "-c", "user.email=test@example.com",
		"commit", "--quiet", "--allow-empty", "--message=build files")
	return clone
}
