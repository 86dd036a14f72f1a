// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/release"
)

// TestRemoteBase tags a release in a copy of the repository. With this tag as a remote base, every
// overlay has the published image and is the same as in a clone: it uses no files that kustomize
// does not fetch.
func TestRemoteBase(t *testing.T) {
	const tag = release.Rehearsal
	repository := t.TempDir()
	for _, path := range []string{"deploy", "docs", "CHANGELOG.md", "README.md"} {
		copyTo(t, repository, path)
	}
	expect.NoError(t, (release.Release{Version: tag, Registry: "registry.example.com/rehearsal"}).Prepare(repository, time.Now()))
	for _, args := range [][]string{
		{"init", "--quiet", "--initial-branch=main"},
		{"add", "."},
		{"-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false", "commit", "--quiet", "--message=test"},
		{"-c", "tag.gpgsign=false", "tag", tag},
	} {
		command := exec.CommandContext(t.Context(), "git", args...)
		command.Dir = repository
		if output, err := command.CombinedOutput(); err != nil {
			t.Fatalf("git %q: %v\n%s", args, err, output)
		}
	}
	for _, path := range list(t, "deploy/overlays/*/kustomization.yaml") {
		overlay := filepath.Dir(path)
		t.Run(filepath.Base(overlay), func(t *testing.T) {
			want := mustRender(t, relative(t, filepath.Join(repository, overlay)))
			mine := t.TempDir()
			content := "resources:\n- file://" + repository + "//" + overlay + "?ref=" + tag + "\n"
			expect.NoError(t, os.WriteFile(filepath.Join(mine, "kustomization.yaml"), []byte(content), 0o600))
			got := mustRender(t, relative(t, mine))
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("differs from the clone (-clone +remote):\n%s", diff)
			}
			images := 0
			for _, object := range got {
				if object.GetKind() == "Deployment" {
					images++
					c := container(t, rendered{"Deployment/" + name: decode(t, object)})
					if want := "registry.example.com/rehearsal/selfsigned-issuer:" + tag; c.Image != want {
						t.Errorf("runs the image %s, want %s", c.Image, want)
					}
				}
			}
			if images != 1 {
				t.Errorf("%d Deployments, want 1", images)
			}
		})
	}
}

// copyTo copies a file or a directory of the repository.
func copyTo(t *testing.T, directory, path string) {
	t.Helper()
	source, target := filepath.Join(root(t), path), filepath.Join(directory, path)
	info, err := os.Stat(source)
	expect.NoError(t, err)
	if info.IsDir() {
		err = os.CopyFS(target, os.DirFS(source))
	} else {
		err = os.WriteFile(target, []byte(read(t, path)), 0o600)
	}
	expect.NoError(t, err)
}

// relative returns a directory as an argument for mustRender.
func relative(t *testing.T, directory string) string {
	t.Helper()
	path, err := filepath.Rel(root(t), directory)
	expect.NoError(t, err)
	return path
}
