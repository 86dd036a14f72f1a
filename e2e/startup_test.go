// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/cert-manager/selfsigned-issuer/e2e/certmanager"
	"github.com/cert-manager/selfsigned-issuer/e2e/lab"
	"github.com/cert-manager/selfsigned-issuer/e2e/plugin"
)

// TestStartsBeforeCertManager installs the plugin into a cluster without cert-manager.
func TestStartsBeforeCertManager(t *testing.T) {
	alone, err := lab.Start(t.Context(), lab.Options{Report: t.Logf, Race: true, AuditLog: true, WithoutCertManager: true, WithoutPlugin: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := alone.Stop(); err != nil {
			t.Error(err)
		}
	})
	if alone.Installation, err = plugin.Install(t.Context(), alone.Cluster, plugin.DefaultOverlay); err != nil {
		t.Fatal(err)
	}
	if alone.Plugin, err = alone.Installation.Start(t.Context(), alone.Binary, "early"); err != nil {
		t.Fatal(err)
	}

	const says = "Not ready: waiting for the CustomResourceDefinitions of CertificateRequest.cert-manager.io (from cert-manager)"
	await(t, "the log line", func(context.Context) string {
		if log := alone.Plugin.Tail(50); !strings.Contains(log, says) {
			return "not in the log:\n" + log
		}
		return ""
	})
	if status, _ := plugin.Get(t.Context(), alone.Plugin.HealthURL+"/healthz"); status != http.StatusOK {
		t.Errorf("/healthz answers %d while the plugin waits, want 200: it must not be restarted", status)
	}
	status, body := plugin.Get(t.Context(), alone.Plugin.HealthURL+plugin.ReadyPath)
	if want := strings.TrimPrefix(says, "Not ready: "); status != http.StatusInternalServerError || !strings.Contains(body, want) {
		t.Errorf("the readiness probe answers %d, %s: want 500, %s", status, body, want)
	}

	cm, err := certmanager.New(t.Context(), alone.Cluster, certmanager.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := cm.InstallCRDs(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := alone.Plugin.AwaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	shared := env
	env = alone // the helpers work on env; this test does not run in parallel
	defer func() { env = shared }()
	namespace, key := newNamespace(t), newKey(t)
	createKeySecret(t, namespace, key)
	issueApproved(t, namespace, key)
	if log := alone.Plugin.Tail(1000); strings.Contains(log, "EventSource") || strings.Contains(log, "healthz check failed") {
		t.Errorf("the log has lines that tell an operator nothing:\n%s", log)
	}
	t.Run("watches its own requests", watchesOwnRequests)
	t.Run("outlives the API server", outlivesTheAPIServer)
	t.Run("starts before the API server", startsBeforeTheAPIServer)
}

// startsBeforeTheAPIServer starts a replica while there is no API server: it waits, healthy
// and not ready.
func startsBeforeTheAPIServer(t *testing.T) {
	account := env.Installation.Deployment.Spec.Template.Spec.ServiceAccountName
	kubeconfig, err := env.Cluster.ServiceAccountKubeconfig(t.Context(), env.Installation.Deployment.Namespace, account)
	if err != nil {
		t.Fatal(err)
	}
	if err := env.Cluster.APIServer().Kill(); err != nil {
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
	await(t, "the log line", func(context.Context) string {
		if log := replica.Tail(50); !strings.Contains(log, "Not ready: waiting for the API server: ") {
			return "not in the log:\n" + log
		}
		return ""
	})
	if status, body := plugin.Get(t.Context(), replica.HealthURL+"/healthz"); status != http.StatusOK {
		t.Errorf("/healthz answers %d %s without an API server, want 200", status, body)
	}
	if err := env.Cluster.RestartAPIServer(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := replica.AwaitReady(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestExitStatus runs the real binary the wrong way: one clear line, and the right status.
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
		line   string
	}{
		{"unknown flag", []string{"--no-such-flag"}, 2, "selfsigned-issuer: unknown flag: --no-such-flag; see --help"},
		{"bad value", []string{"--concurrency=many"}, 2, `selfsigned-issuer: invalid argument "many" for "--concurrency" flag: strconv.ParseInt: parsing "many": invalid syntax; see --help`},
		{"value out of range", []string{"--log-level=8"}, 2, "selfsigned-issuer: --log-level=8: want 0 to 7; see --help"},
		{"no namespace", []string{"--namespaces="}, 2, "selfsigned-issuer: --namespaces is empty: want at least one namespace, or no such flag for all namespaces; see --help"},
		{"CSRs of a namespace", []string{"--namespaces=sandbox", "--kubernetes-csrs"}, 2, "selfsigned-issuer: --namespaces and --kubernetes-csrs exclude each other: a Kubernetes CSR belongs to no namespace; drop one of them; see --help"},
		{"open metrics", []string{"--metrics-client-ca-file=ca.crt"}, 2, `selfsigned-issuer: --metrics-client-ca-file="ca.crt": has no effect without --metrics-secure; see --help`},
		{"no certificate", []string{"--metrics-secure", "--metrics-cert-dir=/nowhere"}, 2, `selfsigned-issuer: --metrics-cert-dir="/nowhere": want a certificate and its key in tls.crt and tls.key: open /nowhere/tls.crt: no such file or directory; see --help`},
		{"argument", []string{"run"}, 2, `selfsigned-issuer: unexpected argument "run"; see --help`},
		{"no address", []string{"--kubeconfig=" + kubeconfig}, 1, `selfsigned-issuer: no access to an API server at "https://127.0.0.1:100000": want https://HOST:PORT`},
		{"no kubeconfig", []string{"--kubeconfig=/nowhere"}, 1, `selfsigned-issuer: no access to an API server: stat /nowhere: no such file or directory; set --kubeconfig, or run in a Pod`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			output, err := exec.CommandContext(t.Context(), env.Binary, test.args...).CombinedOutput()
			exit, ok := errors.AsType[*exec.ExitError](err)
			if !ok || exit.ExitCode() != test.status {
				t.Errorf("ended with %v, want status %d", err, test.status)
			}
			if got := strings.TrimSpace(string(output)); got != test.line {
				t.Errorf("\nprinted %s\n   want %s", got, test.line)
			}
		})
	}
}
