// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package issuance_test

import (
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	ownRequests = "fieldSelector=spec.issuerRef.group%3Dselfsigned.cert-manager.io&"
	unselected  = "Watching the CertificateRequests of all issuers, which needs more memory: the API server does not support the field selector for those of selfsigned-issuer. cert-manager v1.20 and later support it."
)

// watchesOwnRequests replaces the CRD of CertificateRequests by that of an older cert-manager
// without selectable fields, and back. Requests are signed throughout, without and after a restart.
func watchesOwnRequests(t *testing.T) {
	if uri := lastWatch(t); !strings.Contains(uri, ownRequests) || strings.Contains(env.Issuer.Tail(1000), unselected) {
		t.Errorf("CertificateRequests are watched by %s", uri)
	}
	setSelectable(t, false)
	awaitWatch(t, false)
	namespace, key := newNamespace(t), newKey(t)
	createKeySecret(t, namespace, key)
	issueApproved(t, namespace, key)
	if got := strings.Count(env.Issuer.Tail(1000), unselected); got != 1 {
		t.Errorf("the log has %d lines about it, want 1:\n%s", got, env.Issuer.Tail(1000))
	}
	for _, args := range [][]string{nil, {"--namespaces=" + namespace}} {
		restart(t, args...)
		issueApproved(t, namespace, key)
		if uri := lastWatch(t); strings.Contains(uri, "fieldSelector") {
			t.Errorf("CertificateRequests are watched by %s", uri)
		}
	}
	setSelectable(t, true)
	awaitWatch(t, true) // after the next check of the namespace
	issueApproved(t, namespace, key)
	restart(t)
	awaitWatch(t, true)
}

// restart replaces the process.
func restart(t *testing.T, args ...string) {
	t.Helper()
	if err := env.Issuer.Stop(stopsWithin); err != nil {
		t.Error(err)
	}
	var err error
	if env.Issuer, err = env.Installation.Start(t.Context(), env.Binary, "restarted", args...); err != nil {
		t.Fatal(err)
	}
	if err := env.Issuer.AwaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// issueApproved issues a certificate without cert-manager's approver.
func issueApproved(t *testing.T, namespace string, key crypto.Signer) {
	t.Helper()
	request := newRequest(t, namespace, key)
	env.Create(t, request)
	setCondition(t, request, cmapi.CertificateRequestConditionApproved)
	awaitReady(t, request, cmmeta.ConditionTrue, "Issued", "Secret "+namespace+"/key")
}

// setSelectable adds or removes the selectable fields of the CRD of CertificateRequests.
func setSelectable(t *testing.T, selectable bool) {
	t.Helper()
	env.Eventually(t, "the CRD", func(ctx context.Context) error { // retried, because the API server also writes it
		crd := &apiextensions.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Name: "certificaterequests.cert-manager.io"}}
		env.Get(t, crd)
		crd.Spec.Versions[0].SelectableFields = nil
		if selectable {
			crd.Spec.Versions[0].SelectableFields = []apiextensions.SelectableField{{JSONPath: ".spec.issuerRef.group"}}
		}
		if err := env.Client.Update(ctx, crd); err != nil {
			return err
		}
		return nil
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
	log, err := os.ReadFile(env.ControlPlane.AuditLogPath())
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.SplitSeq(string(log), "\n") {
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
