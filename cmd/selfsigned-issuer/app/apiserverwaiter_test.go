// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/rest"
)

// roundTripper answers as an API server.
type roundTripper func() (*http.Response, error)

func (r roundTripper) RoundTrip(*http.Request) (*http.Response, error) { return r() }

func answer(status int) roundTripper {
	return func() (*http.Response, error) {
		recorder := httptest.NewRecorder()
		recorder.WriteHeader(status)
		return recorder.Result(), nil
	}
}

func fail(err error) roundTripper {
	return func() (*http.Response, error) { return nil, err }
}

// TestWaitsForAPIServer: a failure of the API server at the start does not end the process. The log and the
// readiness check have the reason.
func TestWaitsForAPIServer(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		failure roundTripper
		reason  string
	}{
		"refused":     {fail(&net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}), "connection refused"},
		"DNS":         {fail(&net.DNSError{Err: "no such host", Name: "api.example.com", IsNotFound: true}), "no such host"},
		"timeout":     {fail(context.DeadlineExceeded), "deadline exceeded"},
		"certificate": {fail(x509.UnknownAuthorityError{}), "certificate signed by unknown authority"},
		"401":         {answer(http.StatusUnauthorized), "provide credentials"},
		"404":         {answer(http.StatusNotFound), "could not find the requested resource"},
		"429":         {answer(http.StatusTooManyRequests), "too many requests"},
		"500":         {answer(http.StatusInternalServerError), "the server"},
		"503":         {answer(http.StatusServiceUnavailable), "currently unable to handle the request"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var available atomic.Bool
				answers := func() (*http.Response, error) {
					if available.Load() {
						return answer(http.StatusOK)()
					}
					return test.failure()
				}
				log := &logBuffer{}
				probes := newProbes()
				config := &rest.Config{Host: "https://api.example.com", Transport: roundTripper(answers)}
				waiter, err := newAPIServerWaiter(config, probes, logr.FromSlogHandler(newLogHandler(log, formatText, 0)))
				if err != nil {
					t.Fatal(err)
				}
				done := make(chan struct{})
				go func() {
					defer close(done)
					waiter.wait(t.Context())
				}()
				time.Sleep(10 * discoveryInterval) //nolint:forbidigo // of synctest
				synctest.Wait()
				if err := probes.checkReadiness(nil); err == nil || !strings.Contains(err.Error(), "waiting for the API server: ") || !strings.Contains(err.Error(), test.reason) {
					t.Errorf("not ready because %v, want that it waits for the API server because %s", err, test.reason)
				}
				if lines := log.String(); strings.Count(lines, "\n") != 1 || !strings.Contains(lines, "Not ready: waiting for the API server: ") || !strings.Contains(lines, test.reason) {
					t.Errorf("logged %s, want one line about %s", lines, test.reason)
				}
				available.Store(true)
				time.Sleep(discoveryInterval) //nolint:forbidigo // of synctest
				synctest.Wait()
				select {
				case <-done:
				default:
					t.Error("still waits when the API server has answered")
				}
				if lines := log.String(); !strings.Contains(lines, "The API server is available") {
					t.Errorf("logged %s, want that the API server is available", lines)
				}
			})
		})
	}
}

// TestReasonNamesProxy: a proxy in the environment is a frequent cause.
func TestReasonNamesProxy(t *testing.T) {
	t.Parallel()
	probes := newProbes()
	config := &rest.Config{
		Host: "https://10.96.0.1",
		Proxy: func(*http.Request) (*url.URL, error) {
			return url.Parse("http://user:password@proxy.example.com:3128")
		},
	}
	waiter, err := newAPIServerWaiter(config, probes, logr.Discard())
	if err != nil {
		t.Fatal(err)
	}
	waiter.report(errors.New("Forbidden"))
	const want = "waiting for the API server: Forbidden; connections go through the proxy http://user:xxxxx@proxy.example.com:3128: to connect directly, add 10.96.0.1 to NO_PROXY"
	if err := probes.checkReadiness(nil); err == nil || err.Error() != want {
		t.Errorf("not ready because %v\nwant %s", err, want)
	}
}

// TestWrongKubeconfigEnds: errors that only the operator can correct end the process at once.
func TestWrongKubeconfigEnds(t *testing.T) {
	t.Parallel()
	malformed := filepath.Join(t.TempDir(), "malformed")
	if err := os.WriteFile(malformed, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, mention := range map[string]string{
		"/nowhere/kubeconfig": "/nowhere/kubeconfig",
		malformed:             "error loading config file",
		writeKubeconfig(t, "https://bad host:6443"):     `"https://bad host:6443"`,
		writeKubeconfig(t, "ftp://api.example.com"):     `"ftp://api.example.com"`,
		writeKubeconfig(t, "https://127.0.0.1:1000000"): `"https://127.0.0.1:1000000"`,
	} {
		err := Run(t.Context(), []string{"--kubeconfig=" + path, "--health-probe-bind-address=0", "--metrics-bind-address=0"}, io.Discard, io.Discard)
		if err == nil || !strings.Contains(err.Error(), mention) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want one line that mentions %s", path, err, mention)
		}
	}
}

// TestStartsBeforeAPIServer starts the process first: it is healthy and not ready, and goes
// on within seconds when there is an API server.
func TestStartsBeforeAPIServer(t *testing.T) {
	t.Parallel()
	address := freeAddress(t)
	process := startProgram(t, "http://"+address)
	probe := "http://" + process.address("health probe")
	readiness := func(want string) func() string {
		return func() string {
			status, body, err := ask(t.Context(), newTransport(), probe+"/readyz/controllers", "")
			if err != nil || status != http.StatusInternalServerError || !strings.Contains(body, want) {
				return "not ready: " + body
			}
			return ""
		}
	}
	process.await(readiness("waiting for the API server: Get"))
	if status, body, err := ask(t.Context(), newTransport(), probe+"/healthz", ""); err != nil || status != http.StatusOK {
		t.Errorf("/healthz: %d %s %v while it waits, want 200", status, body, err)
	}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: reviewServer(), ReadHeaderTimeout: time.Second}
	t.Cleanup(func() { _ = server.Close() })
	go func() { _ = server.Serve(listener) }()
	process.await(readiness("waiting for the CustomResourceDefinitions of"))
	if lines := strings.Count(process.log.String(), "waiting for the API server: Get"); lines != 1 {
		t.Errorf("%d lines that it waits for the API server, want 1:\n%s", lines, process.log)
	}
}
