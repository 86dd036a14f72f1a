// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package issuance_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/certmanager"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/environment"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/issuer"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/testenv"
)

// TestStartsBeforeCertManager installs selfsigned-issuer into a cluster without cert-manager.
func TestStartsBeforeCertManager(t *testing.T) {
	early := testenv.Start(t, environment.Options{Race: true, AuditLog: true, WithoutCertManager: true, WithoutIssuer: true})
	var err error
	if early.Installation, err = issuer.Install(t.Context(), early.ControlPlane, issuer.DefaultOverlay); err != nil {
		t.Fatal(err)
	}
	if early.Issuer, err = early.Installation.Start(t.Context(), early.Binary, "early"); err != nil {
		t.Fatal(err)
	}

	const says = "Not ready: waiting for the CustomResourceDefinitions of CertificateRequest.cert-manager.io (from cert-manager)"
	env.Eventually(t, "the log line", func(context.Context) error {
		if log := early.Issuer.Tail(50); !strings.Contains(log, says) {
			return errors.New("not in the log:\n" + log)
		}
		return nil
	})
	if status, _ := issuer.Get(t.Context(), early.Issuer.HealthURL+"/healthz"); status != http.StatusOK {
		t.Errorf("/healthz returns %d while the CRDs are missing, want 200: it must not be restarted", status)
	}
	status, body := issuer.Get(t.Context(), early.Issuer.HealthURL+issuer.ReadyPath)
	if want := strings.TrimPrefix(says, "Not ready: "); status != http.StatusInternalServerError || !strings.Contains(body, want) {
		t.Errorf("the readiness probe returns %d, %s: want 500, %s", status, body, want)
	}

	cm, err := certmanager.New(t.Context(), early.ControlPlane, certmanager.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := cm.InstallCRDs(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := early.Issuer.AwaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	shared := env
	env = early // for the helpers; this test does not run in parallel
	defer func() { env = shared }()
	namespace, key := newNamespace(t), newKey(t)
	createKeySecret(t, namespace, key)
	issueApproved(t, namespace, key)
	if log := early.Issuer.Tail(1000); strings.Contains(log, "EventSource") || strings.Contains(log, "healthz check failed") {
		t.Errorf("the log has lines that are useless for an operator:\n%s", log)
	}
	t.Run("watches its own requests", watchesOwnRequests)
	t.Run("outlives the API server", outlivesTheAPIServer)
	t.Run("starts before the API server", startsBeforeTheAPIServer)
}

// startsBeforeTheAPIServer starts a replica without an API server: it is healthy but not ready.
func startsBeforeTheAPIServer(t *testing.T) {
	account := env.Installation.Deployment.Spec.Template.Spec.ServiceAccountName
	kubeconfig, err := env.ControlPlane.ServiceAccountKubeconfig(t.Context(), env.Installation.Deployment.Namespace, account)
	if err != nil {
		t.Fatal(err)
	}
	if err := env.ControlPlane.APIServer().Kill(); err != nil {
		t.Fatal(err)
	}
	early := *env.Installation
	early.Kubeconfig = kubeconfig
	replica, err := early.Start(t.Context(), env.Binary, "before-api-server")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := replica.Stop(stopsWithin); err != nil {
			t.Error(err)
		}
	})
	env.Eventually(t, "the log line", func(context.Context) error {
		if log := replica.Tail(50); !strings.Contains(log, "Not ready: waiting for the API server: ") {
			return errors.New("not in the log:\n" + log)
		}
		return nil
	})
	if status, body := issuer.Get(t.Context(), replica.HealthURL+"/healthz"); status != http.StatusOK {
		t.Errorf("/healthz returns %d %s without an API server, want 200", status, body)
	}
	if err := env.ControlPlane.RestartAPIServer(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := replica.AwaitReady(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestExitStatus runs the binary with invalid arguments: it prints one line and returns an error status.
func TestExitStatus(t *testing.T) {
	t.Parallel()
	kubeconfig := t.TempDir() + "/kubeconfig"
	noAddress := `{"apiVersion":"v1","kind":"Config","current-context":"c","contexts":[{"name":"c","context":{"cluster":"c","user":"u"}}],"users":[{"name":"u"}],"clusters":[{"name":"c","cluster":{"server":"https://127.0.0.1:100000"}}]}`
	if err := os.WriteFile(kubeconfig, []byte(noAddress), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name   string
		args   []string
		status int
		names  string // part of the line
	}{
		{"unknown flag", []string{"--no-such-flag"}, 2, "--no-such-flag"},
		{"bad value", []string{"--max-concurrent-reconciles=many"}, 2, "--max-concurrent-reconciles"},
		{"value out of range", []string{"--log-level=8"}, 2, "--log-level=8"},
		{"no namespace", []string{"--namespaces="}, 2, "--namespaces"},
		{"CSRs of a namespace", []string{"--namespaces=sandbox", "--enable-certificate-signing-requests"}, 2, "--enable-certificate-signing-requests"},
		{"open metrics", []string{"--metrics-client-ca-file=ca.crt"}, 2, "--metrics-client-ca-file"},
		{"no certificate", []string{"--metrics-secure", "--metrics-cert-dir=/nowhere"}, 2, "/nowhere/tls.crt"},
		{"argument", []string{"run"}, 2, `"run"`},
		{"no address", []string{"--kubeconfig=" + kubeconfig}, 1, "https://127.0.0.1:100000"},
		{"no kubeconfig", []string{"--kubeconfig=/nowhere"}, 1, "/nowhere"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			output, err := exec.CommandContext(t.Context(), env.Binary, test.args...).CombinedOutput()
			exit, ok := errors.AsType[*exec.ExitError](err)
			if !ok || exit.ExitCode() != test.status {
				t.Errorf("ended with %v, want status %d", err, test.status)
			}
			line, rest, _ := strings.Cut(string(output), "\n")
			if !strings.HasPrefix(line, "selfsigned-issuer: ") || !strings.Contains(line, test.names) || rest != "" ||
				strings.HasSuffix(line, "; see --help") != (test.status == 2) {
				t.Errorf("printed %q, want one line that names %s", output, test.names)
			}
		})
	}
}
