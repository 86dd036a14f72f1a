// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package release

import (
	"archive/tar"
	"debug/buildinfo"
	"flag"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	ociname "github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/environment"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/release"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/repo"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/testenv"
)

var rehearse = flag.Bool("rehearse", false, "run TestRehearsal, which compiles the program for every platform")

// tag is only in the temporary clone.
const tag = release.Rehearsal

// rehearsal is a release of a temporary clone to an in-memory registry.
type rehearsal struct {
	clone, registry, builder string
	stage                    string // replaces the build stage of the image
	platforms                []string
	image                    v1.ImageIndex
	imageDigest, chartDigest string
	assets                   string
}

// TestRehearsal releases the committed state of this repository with the steps of the workflow,
// except for those that need public services (docs/release.md).
func TestRehearsal(t *testing.T) {
	if !*rehearse {
		t.Skip("compiles the program for every platform: `make release-rehearsal` runs it")
	}
	r := newRehearsal(t)
	for _, step := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"prepare and tag", r.prepare},
		{"compile for every platform", r.compile},
		{"push the image", r.pushImage},
		{"check the platforms", r.checkPlatforms},
		{"make the assets", func(t *testing.T) { makeAssets(t, r.clone, r.assets) }},
		{"push the chart", r.pushChart},
		{"sign, verify and refuse", r.sign},
		{"install as the README says", r.install},
	} {
		begin := time.Now()
		if !t.Run(step.name, step.run) {
			return
		}
		t.Logf("%s: %.1fs", step.name, time.Since(begin).Seconds())
	}
}

func newRehearsal(t *testing.T) *rehearsal {
	t.Helper()
	server := httptest.NewServer(registry.New(registry.WithReferrersSupport(true), registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	directory := t.TempDir() // that of a step is removed after it
	r := &rehearsal{
		clone: filepath.Join(directory, "clone"), stage: filepath.Join(directory, "stage"), assets: filepath.Join(directory, "dist"),
		registry: strings.TrimPrefix(server.URL, "http://") + "/rehearsal",
	}
	// docker cannot push an index to a registry without TLS.
	for _, builder := range []string{"buildah", "podman"} {
		if exec.CommandContext(t.Context(), builder, "info").Run() == nil {
			r.builder = builder
			return r
		}
	}
	t.Fatal("the rehearsal needs buildah or podman, and neither works")
	return nil
}

func (r *rehearsal) prepare(t *testing.T) {
	repo.Run(t, ".", nil, "git", "clone", "--quiet", repo.Root(t), r.clone)
	r.make(t, nil, "release-prepare", "VERSION="+tag)
	repo.Run(t, r.clone, nil, "git", "-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false",
		"commit", "--quiet", "--all", "--message=Rehearse")
	repo.Run(t, r.clone, nil, "git", "-c", "tag.gpgsign=false", "tag", tag)
	r.platforms = strings.Split(repo.Platforms(t, r.clone), ",")
}

// make runs a target in the Makefile of the clone.
func (r *rehearsal) make(t *testing.T, env []string, target string, variables ...string) {
	t.Helper()
	repo.Run(t, r.clone, env, "make", append([]string{"--no-print-directory", target, "REGISTRY=" + r.registry}, variables...)...)
}

// compile builds the programs like the build stage of the image, without its base image.
func (r *rehearsal) compile(t *testing.T) {
	committed := repo.CommitTime(t, r.clone)
	for _, platform := range r.platforms {
		parts := strings.Split(platform+"/", "/")
		directory := filepath.Join(r.stage, "src/bin", platform)
		r.make(t, []string{"GOOS=" + parts[0], "GOARCH=" + parts[1], "GOARM=" + strings.TrimPrefix(parts[2], "v")}, "build", "BIN="+directory)
		expect.NoError(t, os.Chtimes(filepath.Join(directory, name), committed, committed))
	}
}

// pushImage pushes the image twice: the same commit produces the same index.
func (r *rehearsal) pushImage(t *testing.T) {
	var digests []string
	for range 2 {
		r.make(t, nil, "release-image", "BUILDER="+r.builder, "VERSION="+tag,
			"IMAGE_FLAGS=--pull=never --build-context=build="+r.stage, "PUSH_FLAGS=--tls-verify=false")
		reference, err := ociname.ParseReference(r.registry + "/" + name + ":" + tag)
		expect.NoError(t, err)
		there, err := remote.Get(reference)
		expect.NoError(t, err)
		r.image, err = there.ImageIndex()
		expect.NoError(t, err)
		digests = append(digests, there.Digest.String())
	}
	t.Cleanup(func() {
		if out, err := exec.Command(r.builder, "manifest", "rm", r.registry+"/"+name+":"+tag).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
	expect.Equal(t, "two images of the same commit", digests[0], digests[1])
	r.imageDigest = digests[0]
}

// checkPlatforms expects a program with the version of the tag for each platform.
func (r *rehearsal) checkPlatforms(t *testing.T) {
	index, err := r.image.IndexManifest()
	expect.NoError(t, err)
	var platforms []string
	for _, descriptor := range index.Manifests {
		platforms = append(platforms, descriptor.Platform.String())
		info, err := buildinfo.ReadFile(r.program(t, descriptor))
		expect.NoError(t, err)
		settings := map[string]string{}
		for _, setting := range info.Settings {
			settings[setting.Key] = setting.Value
		}
		compiled := settings["GOOS"] + "/" + settings["GOARCH"]
		if settings["GOARM"] != "" {
			compiled += "/v" + settings["GOARM"]
		}
		expect.True(t, compiled == descriptor.Platform.String() && info.Main.Version == tag && settings["vcs.modified"] == "false",
			"%s has a program of version %s for %s", descriptor.Platform, info.Main.Version, compiled)
	}
	expect.Equal(t, "platforms", r.platforms, platforms)
	t.Logf("%s@%s: %q", name, r.imageDigest, platforms)
}

// program returns the path of a copy of the program in an image of the index.
func (r *rehearsal) program(t *testing.T, descriptor v1.Descriptor) string {
	t.Helper()
	image, err := r.image.Image(descriptor.Digest)
	expect.NoError(t, err)
	stream := mutate.Extract(image)
	defer stream.Close()
	archive := tar.NewReader(stream)
	for {
		header, err := archive.Next()
		expect.NoError(t, err) // io.EOF: the image has no program
		if header.Name != name {
			continue
		}
		path := filepath.Join(t.TempDir(), name)
		content, err := io.ReadAll(archive)
		expect.NoError(t, err)
		expect.NoError(t, os.WriteFile(path, content, 0o700))
		return path
	}
}

func (r *rehearsal) pushChart(t *testing.T) {
	printed := repo.Run(t, filepath.Join(r.clone, "e2e"), nil, "make", "--no-print-directory", "--silent", "-C", r.clone,
		"release-chart", "REGISTRY="+r.registry, "DIST="+r.assets, "CHART_FLAGS=-plain-http")
	r.chartDigest = strings.TrimSpace(printed)
	t.Logf("chart: %s", r.chartDigest)
}

func (r *rehearsal) sign(t *testing.T) {
	t.Log(repo.Run(t, filepath.Join(repo.Root(t), "e2e/versions/sigstore"), nil, "go", "run", ".", "-sbom="+filepath.Join(r.assets, name+".cdx.json"),
		r.registry+"/"+name+"@"+r.imageDigest, r.registry+"/charts/"+name+"@"+r.chartDigest))
}

// install follows the README on the test control plane, with the program of the image. TestAssets
// installs the other assets.
func (r *rehearsal) install(t *testing.T) {
	e := testenv.Start(t, environment.Options{WithoutIssuer: true, ControllerManager: true})
	e.CreateNamespace(t, testenv.Namespace)
	index, err := r.image.IndexManifest()
	expect.NoError(t, err)
	for _, descriptor := range index.Manifests {
		if descriptor.Platform.Architecture == runtime.GOARCH {
			e.Binary = r.program(t, descriptor)
		}
	}
	r.followReadme(t, e)
}
