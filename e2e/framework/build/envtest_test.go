// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"crypto/sha512"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

func TestAssetsAreUsed(t *testing.T) {
	pinned := "v" + kubernetesMinor(t)
	tests := map[string]struct {
		program, output string
		want            []string // of the error
		reported        string
	}{
		"pinned":        {program: "kube-apiserver", output: "Kubernetes " + pinned + ".0", reported: pinned + ".0 from KUBEBUILDER_ASSETS"},
		"other version": {program: "kube-apiserver", output: "Kubernetes v1.1.0", want: []string{"/kube-apiserver", "its version is Kubernetes v1.1.0, not " + pinned, "unset", "setup-envtest use"}},
		"missing":       {program: "etcd", want: []string{"/kube-apiserver", "there is no such program", "unset", "setup-envtest use"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			assets, reported := t.TempDir(), newLines(t)
			t.Setenv(assetsEnv, assets)
			script(t, assets, test.program, "echo "+test.output)
			path, err := Build(t.Context(), KubeAPIServer(), reported.report)
			if test.want != nil {
				wantError(t, err, append(test.want, assetsEnv+"="+assets)...)
			} else if err != nil || path != filepath.Join(assets, test.program) || reported.count(test.reported) != 1 {
				t.Errorf("got %q, %v, reported %q", path, err, reported.seen)
			}
		})
	}
}

// setup-envtest knows etcd by the version of Kubernetes.
func TestEtcdIsFoundByTheVersionOfKubernetes(t *testing.T) {
	t.Setenv(assetsEnv, t.TempDir())
	_, err := Build(t.Context(), Etcd(), nil)
	wantError(t, err, "setup-envtest use -p path "+kubernetesMinor(t))
}

// The server has what setup-envtest expects: an index with checksums, and archives.
func TestControlPlaneIsDownloaded(t *testing.T) {
	pinned := "v" + kubernetesMinor(t) + ".3"
	other := "v" + kubernetesMinor(t) + ".1"
	hang := make(chan struct{})
	defer close(hang)
	tests := map[string]struct {
		published    []string
		change       string // of the checksum
		index        http.HandlerFunc
		wantVersion  string
		wantReported string
	}{
		"pinned version":      {published: []string{other, pinned}, wantVersion: pinned},
		"other patch version": {published: []string{"v1.1.0", other}, wantVersion: other},
		"other minor version": {published: []string{"v1.1.0"}, wantReported: "lists no version"},
		"wrong checksum":      {published: []string{pinned}, change: "0", wantReported: "checksum mismatch"},
		"no index":            {index: http.NotFound, wantReported: "404 Not Found"},
		"no answer":           {index: func(http.ResponseWriter, *http.Request) { <-hang }, wantReported: "no result after"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			data := t.TempDir()
			t.Setenv("ENVTEST_INSTALLED_ONLY", "")
			// setup-envtest makes its directories read-only.
			t.Cleanup(func() { _ = exec.Command("chmod", "-R", "u+w", data).Run() })
			mux := http.NewServeMux()
			server := httptest.NewServer(mux)
			defer server.CloseClientConnections()
			index := "releases:\n"
			for _, version := range test.published {
				name := fmt.Sprintf("envtest-%s-%s-%s.tar.gz", version, runtime.GOOS, runtime.GOARCH)
				archive := archiveOf(t, version)
				mux.HandleFunc("/"+name, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(archive) })
				index += fmt.Sprintf("  %s:\n    %s:\n      hash: %x%s\n      selfLink: %s/%[2]s\n",
					version, name, sha512.Sum512(archive), test.change, server.URL)
			}
			if test.index == nil {
				test.index = func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, index) }
			}
			mux.HandleFunc("/index", test.index)

			reported := newLines(t)
			b, err := newBuild(KubeAPIServer(), reported.report)
			if err != nil {
				t.Fatal(err)
			}
			find := func() string {
				e := &envtest{timeout: 2 * time.Second, flags: []string{"--bin-dir=" + data, "--index=" + server.URL + "/index"}}
				e.path(t.Context(), b, pinned)
				return e.path(t.Context(), b, pinned)
			}
			path := find()
			if test.wantVersion == "" {
				if path != "" || reported.count(test.wantReported) != 1 {
					t.Errorf("got %q, reported %q", path, reported.seen)
				}
				return
			}
			if got := outputOf(t, path); got != test.wantVersion {
				t.Errorf("%s prints %q, want %q", path, got, test.wantVersion)
			}
			// It is found again without a request.
			server.Close()
			if again := find(); again != path || reported.count("downloading") != 1 {
				t.Errorf("got %q, reported %q", again, reported.seen)
			}
		})
	}
}

func kubernetesMinor(t *testing.T) string {
	t.Helper()
	b, err := newBuild(KubeAPIServer(), nil)
	if err != nil {
		t.Fatal(err)
	}
	version, err := b.version(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return minor(version)
}

// archiveOf has programs that print a version.
func archiveOf(t *testing.T, version string) []byte {
	t.Helper()
	directory := t.TempDir()
	for _, name := range []string{"etcd", "kube-apiserver", "kubectl"} {
		script(t, directory, name, "printf "+version)
	}
	archive, err := exec.Command("tar", "-cz", "-C", directory, ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	return archive
}
