// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package issuance_test

import (
	"cmp"
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	"github.com/cert-manager/cert-manager/pkg/util/pki"
	coordinationv1 "k8s.io/api/coordination/v1"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	selfsigned "github.com/cert-manager/selfsigned-issuer/api/v1alpha1"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/certmanager"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/environment"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/issuer"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/testenv"
)

// TestStartsBeforeCertManager installs selfsigned-issuer into a cluster without cert-manager.
func TestStartsBeforeCertManager(t *testing.T) {
	early := testenv.Start(t, environment.Options{Race: true, AuditLog: true, WithoutCertManager: true, WithoutIssuer: true})
	var err error
	early.Installation, err = issuer.Install(t.Context(), early.ControlPlane, issuer.DefaultOverlay)
	expect.NoError(t, err)
	early.Issuer, err = early.Installation.Start(t.Context(), early.Binary, "early")
	expect.NoError(t, err)

	const says = "Not ready: waiting for the CustomResourceDefinitions of CertificateRequest.cert-manager.io (from cert-manager)"
	env.Eventually(t, "the log line", func(context.Context) error {
		if log := early.Issuer.Tail(50); !strings.Contains(log, says) {
			return errors.New("not in the log:\n" + log)
		}
		return nil
	})
	live, _ := issuer.Get(t.Context(), early.Issuer.HealthURL+"/healthz")
	expect.True(t, live == http.StatusOK, "/healthz returns %d while the CRDs are missing, which would restart it", live)
	status, body := issuer.Get(t.Context(), early.Issuer.HealthURL+issuer.ReadyPath)
	waits := status == http.StatusInternalServerError && strings.Contains(body, strings.TrimPrefix(says, "Not ready: "))
	expect.True(t, waits, "the readiness probe returns %d, %s: want 500, %s", status, body, says)

	cm, err := certmanager.New(t.Context(), early.ControlPlane, certmanager.Options{})
	expect.NoError(t, err)
	expect.NoError(t, cm.InstallCRDs(t.Context()))
	expect.NoError(t, early.Issuer.AwaitReady(t.Context()))
	shared := env
	env = early // for the helpers; this test does not run in parallel
	defer func() { env = shared }()
	namespace, key := newNamespaceAndKey(t)
	issueApproved(t, namespace, key)
	log := early.Issuer.Tail(1000)
	useless := strings.Contains(log, "EventSource") || strings.Contains(log, "healthz check failed")
	expect.True(t, !useless, "the log has lines that are useless for an operator:\n%s", log)
	t.Run("watches its own requests", watchesOwnRequests)
	t.Run("outlives the API server", outlivesTheAPIServer)
}

// TestExitStatus runs the binary with invalid arguments: it prints one line and returns an error status.
// cmd/selfsigned-issuer/app/testdata/exit-errors.txt has all errors.
func TestExitStatus(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		arg    string
		status int
		names  string // part of the line
	}{
		{"--no-such-flag", 2, "--no-such-flag"},
		{"--log-level=8", 2, "--log-level=8"},
		{"run", 2, `"run"`},
		{"--kubeconfig=/nowhere", 1, "/nowhere"},
	} {
		t.Run(test.arg, func(t *testing.T) {
			t.Parallel()
			output, err := exec.CommandContext(t.Context(), env.Binary, test.arg).CombinedOutput()
			exit, ok := errors.AsType[*exec.ExitError](err)
			expect.True(t, ok && exit.ExitCode() == test.status, "ended with %v, want status %d", err, test.status)
			line, rest, _ := strings.Cut(string(output), "\n")
			if !strings.HasPrefix(line, "selfsigned-issuer: ") || !strings.Contains(line, test.names) || rest != "" ||
				strings.HasSuffix(line, "; see --help") != (test.status == 2) {
				t.Errorf("printed %q, want one line that names %s", output, test.names)
			}
		})
	}
}

const (
	ownRequests = "fieldSelector=spec.issuerRef.group%3Dselfsigned.cert-manager.io&"
	unselected  = "Watching the CertificateRequests of all issuers, which needs more memory: the API server does not support " +
		"the field selector for those of selfsigned-issuer. cert-manager v1.20 and later support it."
)

// watchesOwnRequests replaces the CRD of CertificateRequests by that of an older cert-manager
// without selectable fields, and back. Requests are signed throughout, without and after a restart.
func watchesOwnRequests(t *testing.T) {
	uri := lastWatch(t)
	expect.True(t, strings.Contains(uri, ownRequests), "CertificateRequests are watched by %s", uri)
	expect.Equal(t, "warnings in the log", 0, strings.Count(env.Issuer.Tail(1000), unselected))
	setSelectable(t, false)
	awaitWatch(t, false)
	namespace, key := newNamespaceAndKey(t)
	issueApproved(t, namespace, key)
	expect.Equal(t, "warnings in the log", 1, strings.Count(env.Issuer.Tail(1000), unselected))
	for _, args := range [][]string{nil, {"--namespaces=" + namespace}} {
		restart(t, env.Binary, args...)
		issueApproved(t, namespace, key)
		uri := lastWatch(t)
		expect.True(t, !strings.Contains(uri, "fieldSelector"), "CertificateRequests are watched by %s", uri)
	}
	setSelectable(t, true)
	awaitWatch(t, true) // after the next check of the namespace
	issueApproved(t, namespace, key)
	restart(t, env.Binary)
	awaitWatch(t, true)
}

// issueApproved issues a certificate without cert-manager's approver.
func issueApproved(t *testing.T, namespace string, key crypto.Signer) {
	t.Helper()
	request := createRequest(t, namespace, key)
	setCondition(t, request, cmapi.CertificateRequestConditionApproved)
	awaitReady(t, request, "Issued", "Secret "+namespace+"/key")
}

// setSelectable adds or removes the selectable fields of the CRD of CertificateRequests.
func setSelectable(t *testing.T, selectable bool) {
	t.Helper()
	crd := &apiextensions.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Name: "certificaterequests.cert-manager.io"}}
	env.Change(t, crd, func() {
		crd.Spec.Versions[0].SelectableFields = nil
		if selectable {
			crd.Spec.Versions[0].SelectableFields = []apiextensions.SelectableField{{JSONPath: ".spec.issuerRef.group"}}
		}
	})
}

func awaitWatch(t *testing.T, selected bool) {
	t.Helper()
	env.Eventually(t, "the watch", func(context.Context) error {
		if uri := lastWatch(t); strings.Contains(uri, ownRequests) != selected {
			return errors.New(uri)
		}
		return nil
	})
}

// lastWatch returns the URI of the last watch of CertificateRequests by selfsigned-issuer's caches
// in the audit log.
func lastWatch(t *testing.T) (uri string) {
	t.Helper()
	for _, line := range loggedLines(t, env.ControlPlane.AuditLogPath()) {
		var event struct {
			Verb, RequestURI string
			User             struct{ Username string }
		}
		if json.Unmarshal([]byte(line), &event) != nil {
			continue // an incomplete last line
		}
		// Checks of permissions also watch, for one second.
		if event.Verb == "watch" && strings.HasSuffix(event.User.Username, ":selfsigned-issuer") &&
			strings.Contains(event.RequestURI, "certificaterequests?") && !strings.Contains(event.RequestURI, "timeoutSeconds=1&") {
			uri = event.RequestURI
		}
	}
	return uri
}

// Limits in docs/monitoring.md.
const (
	stopsWithin         = 5 * time.Second
	handsOverWithin     = 2 * time.Second
	replacedWithin      = 18 * time.Second
	outlivesAPIServerBy = 20 * time.Second // longer than the duration of a Lease
)

// The tests below stop the leader, so they must not run in parallel.

// TestStoppedLeaderHandsOver stops the leader of two replicas while requests are created.
func TestStoppedLeaderHandsOver(t *testing.T) {
	leader, standby := env.Issuer, startStandby(t)
	checkLeading(t, leader, true)
	checkLeading(t, standby, false)
	namespace, key := newNamespaceAndKey(t)
	barrier(t, namespace, key)

	var requests []*cmapi.CertificateRequest
	for range 20 {
		requests = append(requests, createRequest(t, namespace, key))
	}
	before, start, stopped := holder(t), time.Now(), make(chan error, 1)
	go func() { stopped <- leader.Stop(stopsWithin) }()
	for range 20 {
		requests = append(requests, createRequest(t, namespace, key))
	}
	if err := <-stopped; err != nil || leader.ExitError() != nil {
		t.Errorf("the leader ended with %v (%v), want exit status 0", leader.ExitError(), err)
	}
	t.Logf("stopped after %s", time.Since(start))
	env.Issuer = standby
	checkTakenOver(t, before, start, handsOverWithin)
	// Events that the leader has not sent yet are lost.
	for _, request := range requests {
		awaitReady(t, request, "Issued", "Secret "+namespace+"/key")
	}
	checkLeading(t, standby, true)
	for _, line := range loggedLines(t, leader.LogPath(), namespace, isError) {
		t.Errorf("a request was canceled: %s", line)
	}
}

// TestKilledLeaderIsReplaced kills the leader of two replicas.
func TestKilledLeaderIsReplaced(t *testing.T) {
	leader, standby := env.Issuer, startStandby(t)
	before, start := holder(t), time.Now()
	expect.NoError(t, leader.Kill())
	env.Issuer = standby
	namespace, key := newNamespaceAndKey(t)
	request := createRequest(t, namespace, key)
	checkTakenOver(t, before, start, replacedWithin)
	checkIssued(t, request)
}

// outlivesTheAPIServer stops the API server for longer than the duration of a Lease. The leader
// keeps running and is still the leader afterwards. It needs its own environment, because all
// clients reconnect slowly.
func outlivesTheAPIServer(t *testing.T) {
	before := holder(t)
	expect.NoError(t, env.ControlPlane.APIServer().Kill())
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for start := time.Now(); time.Since(start) < outlivesAPIServerBy; <-tick.C {
		if status, body := issuer.Get(t.Context(), env.Issuer.HealthURL+"/healthz"); status != http.StatusOK {
			t.Errorf("%s after the end of the API server, /healthz returns %d: %s", time.Since(start), status, body)
			break
		}
	}
	expect.NoError(t, env.ControlPlane.RestartAPIServer(t.Context()))
	back := time.Now()
	env.Eventually(t, "renewing the Lease", func(context.Context) error {
		if renewed := lease(t).RenewTime; renewed.Time.Before(back) {
			return errors.New("last renewed at " + renewed.String())
		}
		return nil
	})
	expect.Equal(t, "holder of the Lease", before, holder(t))
	expect.NoError(t, env.Issuer.Err())
}

func startReplica(t *testing.T, binary, name string, args ...string) *issuer.Replica {
	t.Helper()
	replica, err := env.Installation.Start(t.Context(), binary, name, args...)
	expect.NoError(t, err)
	expect.NoError(t, replica.AwaitReady(t.Context()))
	return replica
}

func startStandby(t *testing.T) *issuer.Replica {
	t.Helper()
	return startReplica(t, env.Binary, "standby-"+t.Name(), issuerArgs...)
}

// restart stops the running replica and starts another binary.
func restart(t *testing.T, binary string, args ...string) {
	t.Helper()
	expect.NoError(t, env.Issuer.Stop(stopsWithin))
	env.Issuer = startReplica(t, binary, "restarted", args...)
}

func lease(t *testing.T) coordinationv1.LeaseSpec {
	t.Helper()
	lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{
		Namespace: env.Installation.Deployment.Namespace, Name: "selfsigned-issuer.selfsigned.cert-manager.io",
	}}
	env.Get(t, lease)
	return lease.Spec
}

func holder(t *testing.T) string {
	t.Helper()
	return *cmp.Or(lease(t).HolderIdentity, new(string))
}

// checkTakenOver waits until another replica than before holds the Lease, and checks when it
// acquired it.
func checkTakenOver(t *testing.T, before string, start time.Time, within time.Duration) {
	t.Helper()
	env.Eventually(t, "taking over", func(context.Context) error {
		if now := holder(t); now == "" || now == before {
			return errors.New("the holder is " + now)
		}
		return nil
	})
	took := lease(t).AcquireTime.Sub(start)
	t.Logf("the standby took over after %s", took)
	expect.True(t, took <= within, "the standby took over after %s, want at most %s", took, within)
}

// checkLeading waits until a replica's metrics show whether it is the leader: only the leader
// reports pending requests.
func checkLeading(t *testing.T, replica *issuer.Replica, leading bool) {
	t.Helper()
	status, value := `leader_election_master_status{name="selfsigned-issuer.selfsigned.cert-manager.io"} `, "0"
	if leading {
		value = "1"
	}
	env.Eventually(t, "metrics of "+replica.Name(), func(ctx context.Context) error {
		_, text := issuer.Get(ctx, replica.MetricsURL+"/metrics")
		if !strings.Contains(text, status+value) || !strings.Contains(text, "selfsigned_issuer_ready 1") ||
			strings.Contains(text, "selfsigned_issuer_requests_waiting{") != leading {
			return fmt.Errorf("want %s%s and to be ready, got\n%s", status, value, text)
		}
		return nil
	})
}

// `make test-fips` sets a program with the validated module. By default, the module of the Go
// version is used.
var fipsBinary = flag.String("fips-binary", "", "a program that was built with GOFIPS140")

// TestFIPS runs selfsigned-issuer with GODEBUG=fips140=only, in which all other cryptography panics
// or fails. It must not run in parallel.
func TestFIPS(t *testing.T) {
	binary := env.Binary
	if *fipsBinary != "" {
		binary = *fipsBinary
	}
	t.Setenv("GODEBUG", "fips140=only")
	restart(t, binary, issuerArgs...)
	log := env.Issuer.Tail(1000)
	expect.True(t, strings.Contains(log, ", FIPS 140-3 module "), "the log does not contain the FIPS mode:\n%s", log)
	rsa := cmapi.CertificatePrivateKey{Algorithm: cmapi.RSAKeyAlgorithm, Size: 2048}
	for _, test := range []struct {
		name       string
		key        cmapi.CertificatePrivateKey
		identifier selfsigned.SubjectKeyIdentifierMethod
	}{
		{"RSA", rsa, ""},
		{"ECDSA", cmapi.CertificatePrivateKey{Algorithm: cmapi.ECDSAKeyAlgorithm, Size: 384}, ""},
		{"Ed25519", cmapi.CertificatePrivateKey{Algorithm: cmapi.Ed25519KeyAlgorithm}, ""},
		{"SHA-1 as a name for the key", rsa, selfsigned.SubjectKeyIdentifierSHA1},
	} {
		t.Run(test.name, func(t *testing.T) {
			key, err := pki.GeneratePrivateKeyForCertificate(&cmapi.Certificate{Spec: cmapi.CertificateSpec{PrivateKey: &test.key}})
			expect.NoError(t, err)
			namespace := newNamespaceWith(t, selfsigned.SelfSignedIssuerSpec{SubjectKeyIdentifier: test.identifier})
			createKeySecret(t, namespace, key)
			checkIssued(t, createRequest(t, namespace, key))
		})
	}
	t.Setenv("GODEBUG", "")
	restart(t, env.Binary, issuerArgs...)
}
