// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// builder is the program that makes images here: docker, podman or buildah.
type builder string

// findBuilder skips the test where no program can make images.
func findBuilder(t *testing.T) builder {
	t.Helper()
	for _, b := range []builder{"docker", "podman", "buildah"} {
		// A docker client without its engine is no builder.
		if exec.CommandContext(t.Context(), string(b), "info").Run() == nil {
			return b
		}
	}
	t.Skip("no image can be made here: neither docker, podman nor buildah works")
	return ""
}

// build makes an image and returns its name.
func (b builder) build(t *testing.T, name string, args ...string) string {
	t.Helper()
	image := b.newName(t, name)
	run(t, string(b), append([]string{"build", "--tag=" + image}, args...)...)
	return image
}

// makeImage runs `make image` in a directory and returns the image's name. The build stage's
// own command makes the program, which takes the stage's place: no base image is needed.
func (b builder) makeImage(t *testing.T, name, folder string, variables ...string) string {
	t.Helper()
	stage := t.TempDir()
	binary := filepath.Join(stage, "src/bin/linux", runtime.GOARCH, program)
	t.Setenv("GOOS", "linux")
	run(t, "make", "--no-print-directory", "-C", folder, "build", "BIN="+filepath.Dir(binary))
	committed := commitTime(t, folder)
	if err := os.Chtimes(binary, committed, committed); err != nil {
		t.Fatal(err)
	}
	return b.makeImageFrom(t, stage, name, folder, variables...)
}

// makeImageFrom does so with the directory of a build stage.
func (b builder) makeImageFrom(t *testing.T, stage, name, folder string, variables ...string) string {
	t.Helper()
	image := b.newName(t, name)
	run(t, "make", append([]string{"-C", folder, "image", "BUILDER=" + string(b), "IMAGE=" + image,
		"IMAGE_FLAGS=--build-context=build=" + stage}, variables...)...)
	return image
}

// newName returns the name of an image, which goes away with the test.
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

func commitTime(t *testing.T, folder string) time.Time {
	t.Helper()
	seconds, err := strconv.ParseInt(git(t, folder, "log", "-1", "--format=%ct"), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return time.Unix(seconds, 0)
}

func git(t *testing.T, folder string, args ...string) string {
	t.Helper()
	return strings.TrimSpace(run(t, "git", append([]string{"-C", folder}, args...)...))
}

// run starts the image's program as a container does, and returns what it prints.
func (b builder) run(t *testing.T, image string, args ...string) string {
	t.Helper()
	if b != "buildah" {
		return run(t, string(b), append([]string{"run", "--rm", image}, args...)...)
	}
	container := strings.TrimSpace(run(t, "buildah", "from", image))
	defer run(t, "buildah", "rm", container)
	// buildah takes everything but the program's name from the image.
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
	if err != nil {
		t.Fatal(err)
	}
	return saved
}

func load(t *testing.T, image v1.Image) *v1.ConfigFile {
	t.Helper()
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	return config
}

// run returns what a command prints. The test fails with it when the command fails.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", cmd, err, out, &stderr)
	}
	return string(out)
}
