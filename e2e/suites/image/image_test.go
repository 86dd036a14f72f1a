// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package image tests the container image.
package image

import (
	"archive/tar"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/release"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/repo"
)

const program = "selfsigned-issuer"

func TestImage(t *testing.T) {
	b := findBuilder(t)
	root := repo.Root(t)
	image := b.makeImage(t, "program", root)
	saved := b.save(t, image)
	checkConfig(t, load(t, saved))
	checkLabels(t, load(t, saved), root)
	expect.Equal(t, "content of the image", []string{program}, files(t, saved))
	expect.Equal(t, "--version", version(t, programOf(t, saved)), b.run(t, image, "--version"))
	help := b.run(t, image, "--help")
	expect.True(t, strings.Contains(help, "--cluster-resource-namespace"), "--help prints no flags: %q", help)
}

func checkConfig(t *testing.T, image *v1.ConfigFile) {
	t.Helper()
	expect.Equal(t, "user", "65532:65532", image.Config.User)
	expect.Equal(t, "entrypoint", []string{"/" + program}, image.Config.Entrypoint)
	expect.True(t, len(image.Config.Cmd) == 0, "has the arguments %q, want none", image.Config.Cmd)
	expect.Equal(t, "platform", "linux/"+runtime.GOARCH, image.OS+"/"+image.Architecture)
}

func checkLabels(t *testing.T, image *v1.ConfigFile, repository string) {
	t.Helper()
	published, err := release.Committed(repository)
	expect.NoError(t, err)
	project := "https://github.com/" + path.Base(published.Registry) + "/" + program
	for label, want := range map[string]string{
		"title":         program,
		"url":           project,
		"source":        project,
		"documentation": project + "/tree/main/docs",
		"licenses":      "Apache-2.0",
		"version":       git(t, repository, "describe", "--tags", "--always", "--dirty"),
		"revision":      git(t, repository, "rev-parse", "HEAD"),
	} {
		expect.Equal(t, "the label "+label, want, image.Config.Labels["org.opencontainers.image."+label])
	}
	expect.Equal(t, "time of the commit and of the image", repo.CommitTime(t, repository), image.Created.Time)
}

// programOf returns the path of a copy of the image's program.
func programOf(t *testing.T, image v1.Image) string {
	t.Helper()
	dir := t.TempDir()
	unpack(t, image, dir)
	return filepath.Join(dir, program)
}

// version is the expected output of --version: the version from git in the program.
func version(t *testing.T, binary string) string {
	t.Helper()
	info, err := buildinfo.ReadFile(binary)
	expect.NoError(t, err)
	commit := strings.TrimSpace(run(t, "git", "rev-parse", "HEAD"))
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" && setting.Value == commit {
			return fmt.Sprintf("%s %s (%s)\n", program, info.Main.Version, info.GoVersion)
		}
	}
	t.Fatalf("the program was not built from commit %s: %v", commit, info)
	return ""
}

// The program's version has "+dirty" if the files of the image differ from the commit.
// .dockerignore must not cause a difference.
func TestBuildContextIsTheCommit(t *testing.T) {
	b := findBuilder(t)
	clone := cleanClone(t)
	expect.NoError(t, os.Mkdir(filepath.Join(clone, "bin"), 0o750))
	repo.WriteFile(t, "an earlier build", clone, "bin", program)
	dockerfile := filepath.Join(t.TempDir(), "Dockerfile")
	repo.WriteFile(t, "FROM scratch\nCOPY . /\n", dockerfile)

	seen := t.TempDir()
	unpack(t, b.save(t, b.build(t, "context", "--file="+dockerfile, clone)), seen)
	expect.Equal(t, "changes in the build context", "", run(t, "git", "-C", seen, "status", "--porcelain"))
	_, err := os.Stat(filepath.Join(seen, "bin"))
	expect.True(t, os.IsNotExist(err), "the build context contains bin: %v", err)
}

// TestSameCommitSameImage builds one commit twice, in different directories.
func TestSameCommitSameImage(t *testing.T) {
	b := findBuilder(t)
	var digests []v1.Hash
	for _, name := range []string{"once", "again"} {
		digest, err := b.save(t, b.makeImage(t, name, cleanClone(t))).Digest()
		expect.NoError(t, err)
		digests = append(digests, digest)
	}
	expect.Equal(t, "two images of the same commit", digests[0], digests[1])
}

var fips = flag.Bool("fips", false, "run TestFIPSImage, which compiles everything again")

// TestFIPSImage expects that the FIPS variant uses the validated module without configuration.
func TestFIPSImage(t *testing.T) {
	if !*fips {
		t.Skip("compiles everything again, which takes minutes: use `make test-fips`")
	}
	b := findBuilder(t)
	t.Setenv("GOFIPS140", "v1.0.0") // as in the build stage of the Dockerfile
	image := b.makeImage(t, "fips", cleanClone(t), "FIPS=1")
	got := b.run(t, image, "--version")
	expect.True(t, strings.Contains(got, ", FIPS 140-3 module v1.0.0"), "--version prints %q", got)
}

// TestOtherPlatform checks the platform of the image. Its program is empty, because compiling for
// another platform takes minutes.
func TestOtherPlatform(t *testing.T) {
	b := findBuilder(t)
	other := map[string]string{"amd64": "arm64", "arm64": "amd64"}[runtime.GOARCH]
	image := load(t, b.save(t, b.makeImageFrom(t, emptyStage(t, "linux/"+other), "other", cleanClone(t), "PLATFORM=linux/"+other)))
	expect.Equal(t, "platform", "linux/"+other, image.OS+"/"+image.Architecture)
}

// emptyStage returns a build stage with an empty program for each platform.
func emptyStage(t *testing.T, platforms string) string {
	t.Helper()
	stage := t.TempDir()
	for platform := range strings.SplitSeq(platforms, ",") {
		directory := filepath.Join(stage, "src/bin", platform)
		expect.NoError(t, os.MkdirAll(directory, 0o750))
		repo.WriteFile(t, "", directory, program)
		expect.NoError(t, os.Chtimes(filepath.Join(directory, program), time.Unix(0, 0), time.Unix(0, 0)))
	}
	return stage
}

// TestSeveralPlatforms builds an image index for all platforms of a release, with empty programs.
// The same commit produces the same index.
func TestSeveralPlatforms(t *testing.T) {
	b := findBuilder(t)
	if b == "docker" {
		t.Skip("docker keeps an image index only in containerd's image store")
	}
	image := fmt.Sprintf("localhost/selfsigned-issuer-test-several:%d", os.Getpid())
	t.Cleanup(func() { b.remove(t, "manifest", "rm", image) })
	clone := cleanClone(t)
	want := repo.Platforms(t, clone)
	stage := emptyStage(t, want)
	var inspected []string
	for range 2 { // the second run replaces the first
		run(t, "make", "-C", clone, "image", "BUILDER="+string(b), "IMAGE="+image,
			"IMAGE_FLAGS=--build-context=build="+stage, "PLATFORM="+want)
		inspected = append(inspected, run(t, string(b), "manifest", "inspect", image))
	}
	expect.Equal(t, "two indexes of the same commit", inspected[0], inspected[1])
	var list v1.IndexManifest
	expect.NoError(t, json.Unmarshal([]byte(inspected[1]), &list))
	var got []string
	for _, manifest := range list.Manifests {
		got = append(got, manifest.Platform.String())
	}
	expect.Equal(t, "platforms", want, strings.Join(got, ","))
}

// files lists the files of the image, without directories.
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

// unpack writes the image's directories and regular files below dir.
func unpack(t *testing.T, image v1.Image, dir string) {
	t.Helper()
	walk(t, image, func(header *tar.Header, content io.Reader) {
		path := filepath.Join(dir, header.Name)
		if header.Typeflag == tar.TypeDir {
			expect.NoError(t, os.MkdirAll(path, 0o750))
			return
		}
		data, err := io.ReadAll(content)
		expect.NoError(t, err)
		expect.NoError(t, os.WriteFile(path, data, header.FileInfo().Mode()))
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
		expect.NoError(t, err)
		each(header, archive)
	}
}
