// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package issuance_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	selfsigned "github.com/cert-manager/selfsigned-issuer/api/v1alpha1"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/faultproxy"
)

// TestIssuerNotChecked delays the status of a new issuer.
func TestIssuerNotChecked(t *testing.T) {
	t.Parallel()
	namespace, key := newNamespaceAndKey(t)
	held := holdChecks(t, namespace, "new")
	env.Create(t, newIssuer(namespace, "new"))
	held.awaitArrival(t)
	request := createRequest(t, namespace, key, forIssuer("new"))
	awaitPending(t, request, "Normal", "IssuerNotChecked", "SelfSignedIssuer "+namespace+"/new")
	held.gate.Open()
	checkIssued(t, request)
	checkEvents(t, request, "IssuerNotChecked", "CertificateIssued")
	checkLogsNoError(t, namespace)
}

// TestIssuerNotSeen delays the watch of issuers. An existing issuer is not reported as missing,
// even if it is not in the cache. It must not run in parallel.
func TestIssuerNotSeen(t *testing.T) {
	namespace, key := newNamespaceAndKey(t)
	t.Cleanup(env.Proxy.CutConnections)
	watch := inject(t, "GET", "/apis/selfsigned.cert-manager.io/v1alpha1/selfsignedissuers", faultproxy.Silence())
	env.Proxy.CutConnections()
	env.Eventually(t, "a watch without a response", func(context.Context) error {
		if watch.Hits() == 0 {
			return errors.New("not yet")
		}
		return nil
	})
	env.Create(t, newIssuer(namespace, "unseen"))
	lookup := inject(t, "GET", "/apis/selfsigned.cert-manager.io/v1alpha1/namespaces/"+namespace+"/selfsignedissuers",
		faultproxy.Status(http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable, "etcd is down"))
	request := createRequest(t, namespace, key, forIssuer("unseen"))
	awaitPending(t, request, "Warning", "ErrorGettingIssuer", "SelfSignedIssuer "+namespace+"/unseen", "etcd is down")
	lookup.Remove()
	// Closing connections could lose this event.
	awaitOutcome(t, request, "Pending", "Normal", "IssuerNotChecked", "SelfSignedIssuer "+namespace+"/unseen")
	watch.Remove()
	env.Proxy.CutConnections()
	checkIssued(t, request)
	checkEvents(t, request, "ErrorGettingIssuer", "IssuerNotChecked", "CertificateIssued")
}

// TestIssuerReadyForAnOlderGeneration changes an issuer and delays its status: nothing is signed with
// the old spec. The earlier certificate is not replaced.
func TestIssuerReadyForAnOlderGeneration(t *testing.T) {
	t.Parallel()
	namespace, key := newNamespaceAndKey(t)
	first := createRequest(t, namespace, key)
	checkIssued(t, first)
	held := holdChecks(t, namespace, "issuer")
	points := []string{"http://example.com/a.crl", "ldap://example.com/b"}
	changeIssuer(t, namespace, points...)
	held.awaitArrival(t)
	request := createRequest(t, namespace, key)
	awaitPending(t, request, "Normal", "IssuerNotChecked", "SelfSignedIssuer "+namespace+"/issuer")
	held.gate.Open()
	expect.Equal(t, "CRL distribution points", points, checkIssued(t, request).CRLDistributionPoints)
	checkEvents(t, request, "IssuerNotChecked", "CertificateIssued")
	checkNotWritten(t, first)
	checkLogsNoError(t, namespace)
}

// TestLateIssuerStatus changes or replaces an issuer while its status write is in flight: the late
// write gets a conflict, which is not an error, and only written results are logged. It counts
// errors, so it must not run in parallel.
func TestLateIssuerStatus(t *testing.T) {
	for name, test := range map[string]struct {
		replace func(t *testing.T, namespace string)
		writes  []int // statuses of the responses to the late write and to later ones
	}{
		"another spec": {
			func(t *testing.T, namespace string) { changeIssuer(t, namespace, "http://example.com/2") },
			[]int{http.StatusConflict, http.StatusOK},
		},
		"a successor": {func(t *testing.T, namespace string) {
			env.Delete(t, newIssuer(namespace, "issuer"))
			env.Create(t, newIssuer(namespace, "issuer"))
		}, []int{http.StatusConflict, http.StatusOK}},
	} {
		t.Run(name, func(t *testing.T) {
			namespace := newNamespace(t)
			awaitChecked(t, namespace)
			errorsBefore := metric(t, reconcileErrors)
			held := holdChecks(t, namespace, "issuer")
			changeIssuer(t, namespace, "http://example.com/1")
			held.awaitArrival(t)
			test.replace(t, namespace)
			held.release(t)

			awaitIssuerLines(t, awaitChecked(t, namespace), 1)
			lines := loggedLines(t, env.Issuer.LogPath(), namespace, issuerIsReady)
			expect.True(t, len(lines) == 2, "want a line for the first issuer and one for the last:\n%q", lines)
			expect.Equal(t, "responses to the writes", test.writes, held.answers())
			checkErrorsSince(t, errorsBefore)
			checkLogsNoError(t, namespace)
		})
	}
}

// issuerIsReady is in each log line about the readiness of an issuer.
const issuerIsReady = `"msg":"The issuer is Ready"`

// awaitIssuerLines waits until the log has this number of lines about the readiness of the issuer
// for its spec.
func awaitIssuerLines(t *testing.T, issuer *selfsigned.SelfSignedIssuer, want int) {
	t.Helper()
	about := []string{issuerIsReady, string(issuer.UID), fmt.Sprintf(`"generation":%d`, issuer.Generation)}
	env.Eventually(t, "log of the issuer", func(context.Context) error {
		if lines := loggedLines(t, env.Issuer.LogPath(), about...); len(lines) != want {
			return fmt.Errorf("%d lines, want %d: %s", len(lines), want, strings.Join(lines, "\n"))
		}
		return nil
	})
}

// TestIssuerStatusIsRepaired writes a wrong status, as a former leader or another client may do.
// The issuer is checked again, and a request is signed.
func TestIssuerStatusIsRepaired(t *testing.T) {
	t.Parallel()
	for name, wrong := range map[string]metav1.Condition{
		"Ready for an older spec": {
			Type: "Ready", Status: metav1.ConditionTrue, Reason: "Checked", Message: "Succeeded checking the issuer", ObservedGeneration: 1,
		},
		"Failed for this spec": {
			Type: "Ready", Status: metav1.ConditionFalse, Reason: "Failed", Message: "Failed permanently: no", ObservedGeneration: 2,
		},
		"Stalled": {Type: "Stalled", Status: metav1.ConditionTrue, Reason: "Failed", ObservedGeneration: 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			namespace, key := newNamespaceAndKey(t)
			changeIssuer(t, namespace, "http://example.com/1")
			issuer := awaitChecked(t, namespace)
			env.ChangeStatus(t, issuer, func() {
				apimeta.SetStatusCondition(&issuer.Status.Conditions, wrong)
				issuer.Status.ObservedGeneration = wrong.ObservedGeneration
			})
			awaitChecked(t, namespace)
			checkIssued(t, createRequest(t, namespace, key))
			awaitIssuerLines(t, issuer, 2)
			newTools(t).await(t, newUnstructured("SelfSignedIssuer", namespace, issuer.Name), status.CurrentStatus)
		})
	}
}

// TestSecretsForbidden removes the permission to read Secrets at run time, and restores it. It must
// not run in parallel.
func TestSecretsForbidden(t *testing.T) {
	namespace, key := newNamespaceAndKey(t)
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "selfsigned-issuer-manager"}}
	env.Get(t, role)
	original := role.DeepCopy().Rules
	env.Change(t, role, func() {
		for i := range role.Rules {
			if slices.Contains(role.Rules[i].Resources, "secrets") {
				role.Rules[i].Verbs = []string{"list", "watch"}
			}
		}
	})
	restore := func() {
		role.Rules = original
		if err := env.Client.Update(context.Background(), role); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(restore)
	awaitPermission(t, "system:serviceaccount:selfsigned-issuer-system:selfsigned-issuer", false,
		authorizationv1.ResourceAttributes{Resource: "secrets", Verb: "get", Namespace: "default"})
	request := createRequest(t, namespace, key)
	awaitPending(t, request, "Warning", "ForbiddenSecret",
		"Secret "+namespace+"/key", "deploy/overlays/default", "ClusterRole selfsigned-issuer-manager")
	restore()
	checkIssued(t, request)
	checkEvents(t, request, "ForbiddenSecret", "CertificateIssued")
}

// TestIssuerOlderThanItsSchema creates an issuer that the current schema rejects, as an older
// version may have allowed. It changes and restores the schema, so it must not run in parallel.
func TestIssuerOlderThanItsSchema(t *testing.T) {
	namespace, key := newNamespaceAndKey(t)
	issuer := newIssuer(namespace, "old")
	issuer.Spec.CRLDistributionPoints = []string{"ftp://example.com/100%d"}
	restore := withoutValidation(t)
	env.Eventually(t, "creating an invalid issuer", func(ctx context.Context) error { return env.Client.Create(ctx, issuer) })
	restore()
	var failure string
	env.Await(t, "Ready=False", issuer, func() bool {
		condition := apimeta.FindStatusCondition(issuer.Status.Conditions, "Ready")
		if condition == nil || condition.Status != metav1.ConditionFalse {
			return false
		}
		failure = condition.Message
		return true
	})
	const want = `Failed permanently: spec.crlDistributionPoints[0]: Invalid value: "ftp://example.com/100%d": `
	expect.True(t, strings.HasPrefix(failure, want), "\n got %s\nwant %s…", failure, want)
	awaitEvent(t, issuer, "Warning", "PermanentError", failure)

	request := createRequest(t, namespace, key, forIssuer("old"))
	awaitPending(t, request, "Warning", "IssuerNotReady",
		"SelfSignedIssuer "+namespace+"/old", strings.TrimSuffix(failure, "."))
	env.Change(t, issuer, func() { issuer.Spec.CRLDistributionPoints = nil })
	checkIssued(t, request)
	checkEvents(t, request, "IssuerNotReady", "CertificateIssued")
}

// withoutValidation disables the rules of the schema until restore is called.
func withoutValidation(t *testing.T) (restore func()) {
	t.Helper()
	crd := &apiextensions.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: "selfsignedissuers.selfsigned.cert-manager.io"},
	}
	env.Get(t, crd)
	original := crd.Spec.Versions[0].Schema.OpenAPIV3Schema.DeepCopy()
	env.Change(t, crd, func() {
		keep := true
		properties := crd.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties
		properties["spec"] = apiextensions.JSONSchemaProps{Type: "object", XPreserveUnknownFields: &keep}
	})
	restore = func() {
		ctx := context.WithoutCancel(t.Context())
		err := retry.RetryOnConflict(retry.DefaultRetry, func() error { // the API server also writes it
			if err := env.Client.Get(ctx, client.ObjectKeyFromObject(crd), crd); err != nil {
				return err
			}
			crd.Spec.Versions[0].Schema.OpenAPIV3Schema = original
			return env.Client.Update(ctx, crd)
		})
		if err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(restore)
	return restore
}
