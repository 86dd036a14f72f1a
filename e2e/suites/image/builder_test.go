// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/repo"
)

// builder is the program that builds images: docker, podman or buildah.
type builder string

// findBuilder skips the test if no program can build images.
func findBuilder(t *testing.T) builder {
	t.Helper()
	for _, b := range []builder{"docker", "podman", "buildah"} {
		// The docker client needs its engine.
		if exec.CommandContext(t.Context(), string(b), "info").Run() == nil {
			return b
		}
	}
	t.Skip("images cannot be built: neither docker, podman nor buildah works")
	return ""
}

// build builds an image and returns its name.
func (b builder) build(t *testing.T, name string, args ...string) string {
	t.Helper()
	image := b.newName(t, name)
	run(t, string(b), append([]string{"build", "--tag=" + image}, args...)...)
	return image
}

// makeImage runs `make image` in a directory and returns the image's name. The program is built by
// the command of the build stage, but outside of it, so that no base image is needed.
func (b builder) makeImage(t *testing.T, name, directory string, variables ...string) string {
	t.Helper()
	stage := t.TempDir()
	binary := filepath.Join(stage, "src/bin/linux", runtime.GOARCH, program)
	t.Setenv("GOOS", "linux")
	run(t, "make", "--no-print-directory", "-C", directory, "build", "BIN="+filepath.Dir(binary))
	committed := repo.CommitTime(t, directory)
	expect.NoError(t, os.Chtimes(binary, committed, committed))
	return b.makeImageFrom(t, stage, name, directory, variables...)
}

// makeImageFrom does so with a directory as the build stage.
func (b builder) makeImageFrom(t *testing.T, stage, name, directory string, variables ...string) string {
	t.Helper()
	image := b.newName(t, name)
	run(t, "make", append([]string{"-C", directory, "image", "BUILDER=" + string(b), "IMAGE=" + image,
		"IMAGE_FLAGS=--build-context=build=" + stage}, variables...)...)
	return image
}

// newName returns the name of an image that is removed when the test ends.
func (b builder) newName(t *testing.T, name string) string {
	t.Helper()
	image := fmt.Sprintf("localhost/selfsigned-issuer-test-%s:%d", name, os.Getpid())
	t.Cleanup(func() { b.remove(t, "rmi", image) })
	return image
}

func (b builder) remove(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command(string(b), args...).CombinedOutput(); err != nil {
		t.Errorf("%s %q: %v: %s", b, args, err, out)
	}
}

func git(t *testing.T, directory string, args ...string) string {
	t.Helper()
	return strings.TrimSpace(run(t, "git", append([]string{"-C", directory}, args...)...))
}

// run runs the image's program in a container, and returns its output.
func (b builder) run(t *testing.T, image string, args ...string) string {
	t.Helper()
	if b != "buildah" {
		return run(t, string(b), append([]string{"run", "--rm", image}, args...)...)
	}
	container := strings.TrimSpace(run(t, "buildah", "from", image))
	defer run(t, "buildah", "rm", container)
	// buildah does not use the entrypoint of the image.
	program := load(t, b.save(t, image)).Config.Entrypoint
	command := append([]string{"run", "--isolation=chroot", container, "--"}, program...)
	return run(t, "buildah", append(command, args...)...)
}

// save returns an archive of the image.
func (b builder) save(t *testing.T, image string) v1.Image {
	t.Helper()
	archive := filepath.Join(t.TempDir(), "image.tar")
	if b == "buildah" {
		run(t, "buildah", "push", "--quiet", image, "docker-archive:"+archive+":"+image)
	} else {
		run(t, string(b), "save", "--output="+archive, image)
	}
	saved, err := tarball.ImageFromPath(archive, nil)
	expect.NoError(t, err)
	return saved
}

func load(t *testing.T, image v1.Image) *v1.ConfigFile {
	t.Helper()
	config, err := image.ConfigFile()
	expect.NoError(t, err)
	return config
}

// run returns the output of a command.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	return repo.Run(t, ".", nil, name, args...)
}
