// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

func TestClustersSideBySide(t *testing.T) {
	t.Parallel()
	type started struct {
		c   *ControlPlane
		err error
	}
	results := make(chan started)
	for range 2 {
		go func() {
			c, err := Start(t.Context(), Options{Report: t.Logf})
			results <- started{c, err}
		}()
	}
	first, second := <-results, <-results
	for _, s := range []started{first, second} {
		if s.err != nil {
			t.Fatal(s.err)
		}
		t.Cleanup(func() {
			if err := s.c.Stop(); err != nil {
				t.Error(err)
			}
		})
	}

	putConfigMap(t, first.c, "here")
	if err := getConfigMap(t, second.c, "here"); !apierrors.IsNotFound(err) {
		t.Errorf("in the other cluster: %v", err)
	}
	for range 2 { // a second Stop does nothing
		if err := first.c.Stop(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(first.c.Dir()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the stopped cluster's directory: %v", err)
	}
	putConfigMap(t, second.c, "there")
}

func TestCrashedProcessesComeBackWithTheirData(t *testing.T) {
	t.Parallel()
	c := start(t, Options{})
	url := c.URL()
	putConfigMap(t, c, "kept")

	if err := c.APIServer().Kill(); err != nil {
		t.Fatal(err)
	}
	if err := getConfigMap(t, c, "kept"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("without an API server: %v", err)
	}
	if err := c.RestartAPIServer(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := getConfigMap(t, c, "kept"); err != nil {
		t.Errorf("after the API server's restart: %v", err)
	}

	if err := c.Etcd().Pause(); err != nil {
		t.Fatal(err)
	}
	if err := c.RestartEtcd(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := getConfigMap(t, c, "kept"); err != nil {
		t.Errorf("after etcd's restart: %v", err)
	}
	if c.URL() != url {
		t.Errorf("the address of the API server has changed from %s to %s", url, c.URL())
	}
}

func TestUnexpectedEndIsReportedAndTheLogsAreKept(t *testing.T) {
	t.Parallel()
	reported := &lines{news: make(chan struct{}, 1)}
	c, err := Start(t.Context(), Options{Report: reported.report})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(c.Dir()) })
	if err := syscall.Kill(c.APIServer().PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for !reported.contain("kube-apiserver ended unexpectedly (signal: killed)") {
		<-reported.news
	}
	if err := c.Stop(); err != nil {
		t.Fatal(err)
	}
	if c.Etcd().Running() {
		t.Error("etcd is still running")
	}
	if !reported.contain("the logs are in " + c.LogDir()) {
		t.Errorf("reported:\n%s", reported.text.String())
	}
	if _, err := os.Stat(filepath.Join(c.LogDir(), "kube-apiserver.log")); err != nil {
		t.Error(err)
	}
}

func TestClusterThatDoesNotStart(t *testing.T) {
	t.Parallel()
	occupied, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = occupied.Close() }) // only a listener
	_, port, err := net.SplitHostPort(occupied.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct{ arg, want string }{
		"wrong flag": {arg: "--no-such-flag", want: "unknown flag: --no-such-flag"},
		"taken port": {arg: "--secure-port=" + port, want: "address already in use"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			reported := &lines{news: make(chan struct{}, 1)}
			c, err := Start(t.Context(), Options{Report: reported.report, APIServerArgs: []string{test.arg}})
			if err == nil {
				t.Fatal(errors.Join(errors.New("it started"), c.Stop()))
			}
			for _, part := range []string{"the control plane did not start", test.want} {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("error %q does not contain %q", err, part)
				}
			}
			_, dir, found := strings.Cut(reported.text.String(), "the logs are in ")
			if !found {
				t.Fatalf("reported:\n%s", reported.text.String())
			}
			if err := os.RemoveAll(filepath.Dir(strings.TrimSpace(dir))); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestInterruptedStartLeavesNothingBehind(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	report := func(format string, _ ...any) {
		if strings.HasPrefix(format, "starting the control plane") {
			cancel()
		}
	}
	if _, err := Start(ctx, Options{Report: report}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	left, err := os.ReadDir(os.TempDir())
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
