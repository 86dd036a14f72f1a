// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package imagetest builds the container image and looks at it from outside.
package imagetest

import (
	"archive/tar"
	"debug/buildinfo"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"github.com/cert-manager/selfsigned-issuer/e2e/toolchain"
)

const program = "selfsigned-issuer"

func TestImage(t *testing.T) {
	b := findBuilder(t)
	root, err := toolchain.Root()
	if err != nil {
		t.Fatal(err)
	}
	// The build stage's own command makes the program here, so that no base image is
	// needed: the test takes the stage's place.
	stage := t.TempDir()
	t.Setenv("GOOS", "linux")
	binary := filepath.Join(stage, "src/bin", program)
	run(t, "make", "--no-print-directory", "-C", root, "build", "BIN="+filepath.Dir(binary))
	image := b.build(t, "program", "--build-context=build="+stage, root)

	saved := b.save(t, image)
	checkConfig(t, load(t, saved))
	if got, want := files(t, saved), []string{program}; !reflect.DeepEqual(got, want) {
		t.Errorf("the image holds %q, want %q", got, want)
	}
	if got, want := b.run(t, image, "--version"), version(t, binary); got != want {
		t.Errorf("--version prints %q, want %q", got, want)
	}
	if got := b.run(t, image, "--help"); !strings.Contains(got, "--cluster-resource-namespace") {
		t.Errorf("--help prints no flags: %q", got)
	}
}

func checkConfig(t *testing.T, image *v1.ConfigFile) {
	t.Helper()
	if got, want := image.Config.User, "65532:65532"; got != want {
		t.Errorf("runs as user %q, want %q", got, want)
	}
	if got, want := image.Config.Entrypoint, []string{"/" + program}; !reflect.DeepEqual(got, want) {
		t.Errorf("entrypoint is %q, want %q", got, want)
	}
	if len(image.Config.Cmd) > 0 {
		t.Errorf("has the arguments %q, want none", image.Config.Cmd)
	}
	if got, want := image.OS+"/"+image.Architecture, "linux/"+runtime.GOARCH; got != want {
		t.Errorf("is for %s, want %s", got, want)
	}
	for _, label := range []string{"title", "description", "source", "licenses"} {
		if image.Config.Labels["org.opencontainers.image."+label] == "" {
			t.Errorf("has no label org.opencontainers.image.%s", label)
		}
	}
}

// version is what --version should print: what the Go toolchain recorded in the program,
// from git.
func version(t *testing.T, binary string) string {
	t.Helper()
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	commit := strings.TrimSpace(run(t, "git", "rev-parse", "HEAD"))
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" && setting.Value == commit {
			return fmt.Sprintf("%s %s (%s)\n", program, info.Main.Version, info.GoVersion)
		}
	}
	t.Fatalf("the program does not know that it was built from commit %s: %v", commit, info)
	return ""
}

// The program's version says "+dirty" when git finds a difference between the commit and
// the files that the image is built from. .dockerignore must not make one.
func TestBuildContextIsTheCommit(t *testing.T) {
	b := findBuilder(t)
	clone := cleanClone(t)
	if err := os.Mkdir(filepath.Join(clone, "bin"), 0o750); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(clone, "bin", program), "an earlier build")
	dockerfile := filepath.Join(t.TempDir(), "Dockerfile")
	write(t, dockerfile, "FROM scratch\nCOPY . /\n")

	seen := t.TempDir()
	unpack(t, b.save(t, b.build(t, "context", "--file="+dockerfile, clone)), seen)
	if changes := run(t, "git", "-C", seen, "status", "--porcelain"); changes != "" {
		t.Errorf("in the build's context git sees changes:\n%s", changes)
	}
	if _, err := os.Stat(filepath.Join(seen, "bin")); !os.IsNotExist(err) {
		t.Errorf("the build's context holds bin: %v", err)
	}
}

// cleanClone returns a clone of this repository in which the ignore files are committed as
// they are here.
func cleanClone(t *testing.T) string {
	t.Helper()
	root, err := toolchain.Root()
	if err != nil {
		t.Fatal(err)
	}
	clone := t.TempDir()
	run(t, "git", "clone", "--quiet", root, clone)
	for _, name := range []string{".gitignore", ".dockerignore"} {
		content, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(clone, name), string(content))
	}
	run(t, "git", "-C", clone, "add", ".")
	run(t, "git", "-C", clone, "-c", "user.name=test", "-c", "user.email=test@example.com",
		"commit", "--quiet", "--allow-empty", "--message=ignore files")
	return clone
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// files lists the image's files, without folders.
func files(t *testing.T, image v1.Image) []string {
	t.Helper()
	var names []string
	walk(t, image, func(header *tar.Header, _ io.Reader) {
		if header.Typeflag != tar.TypeDir {
			names = append(names, header.Name)
		}
	})
	return names
}

// unpack writes the image's folders and regular files below dir.
func unpack(t *testing.T, image v1.Image, dir string) {
	t.Helper()
	walk(t, image, func(header *tar.Header, content io.Reader) {
		path := filepath.Join(dir, header.Name)
		if header.Typeflag == tar.TypeDir {
			if err := os.MkdirAll(path, 0o750); err != nil {
				t.Fatal(err)
			}
			return
		}
		data, err := io.ReadAll(content)
		if err == nil {
			err = os.WriteFile(path, data, header.FileInfo().Mode())
		}
		if err != nil {
			t.Fatal(err)
		}
	})
}

func walk(t *testing.T, image v1.Image, each func(*tar.Header, io.Reader)) {
	t.Helper()
	stream := mutate.Extract(image)
	defer stream.Close()
	archive := tar.NewReader(stream)
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		each(header, archive)
	}
}
