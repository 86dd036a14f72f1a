// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package deploytest

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cert-manager/selfsigned-issuer/e2e/plugin"
)

// An overlay is as good from a git repository as from a clone: none of its files reaches
// beyond what kustomize fetches.
func TestRemoteBase(t *testing.T) {
	repository := t.TempDir()
	if err := os.CopyFS(filepath.Join(repository, "deploy"), os.DirFS(filepath.Join(root(t), "deploy"))); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"init", "--quiet", "--initial-branch=main"},
		{"add", "."},
		{"-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false", "commit", "--quiet", "--message=test"},
	} {
		command := exec.CommandContext(t.Context(), "git", args...)
		command.Dir = repository
		if output, err := command.CombinedOutput(); err != nil {
			t.Fatalf("git %q: %v\n%s", args, err, output)
		}
	}
	for _, overlay := range []string{plugin.ProductionOverlay, plugin.NamespacedOverlay} {
		t.Run(filepath.Base(overlay), func(t *testing.T) {
			mine := t.TempDir()
			content := "resources:\n- file://" + repository + "//" + overlay + "?ref=main\n"
			if err := os.WriteFile(filepath.Join(mine, "kustomization.yaml"), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			path, err := filepath.Rel(root(t), mine)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(mustRender(t, overlay), mustRender(t, path)); diff != "" {
				t.Errorf("differs from the clone (-clone +remote):\n%s", diff)
			}
		})
	}
}
