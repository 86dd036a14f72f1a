// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package issuance_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	selfsigned "github.com/cert-manager/selfsigned-issuer/api/v1alpha1"
)

// TestLateIssuerStatus changes or replaces an issuer while its status write is in flight: the late
// write gets a conflict, which is not an error, and only written results are logged. It counts
// errors, so it must not run in parallel.
func TestLateIssuerStatus(t *testing.T) {
	for name, test := range map[string]struct {
		replace func(t *testing.T, namespace string)
		writes  []int // statuses of the responses to the late write and to later ones
	}{
		"another spec": {func(t *testing.T, namespace string) {
			changeIssuer(t, namespace, func(spec *selfsigned.SelfSignedIssuerSpec) {
				spec.CRLDistributionPoints = []string{"http://example.com/2"}
			})
		}, []int{http.StatusConflict, http.StatusOK}},
		"a successor": {func(t *testing.T, namespace string) {
			if err := env.Client.Delete(t.Context(), newIssuer(namespace, "issuer")); err != nil {
				t.Fatal(err)
			}
			env.Create(t, newIssuer(namespace, "issuer"))
		}, []int{http.StatusConflict, http.StatusOK, http.StatusOK}}, // Unknown comes first
	} {
		t.Run(name, func(t *testing.T) {
			namespace := newNamespace(t)
			awaitChecked(t, namespace)
			errorsBefore := metric(t, reconcileErrors)
			held := holdPatches(t, "/apis/selfsigned.cert-manager.io/v1alpha1/namespaces/"+namespace+"/selfsignedissuers/issuer/status")
			changeIssuer(t, namespace, func(spec *selfsigned.SelfSignedIssuerSpec) {
				spec.CRLDistributionPoints = []string{"http://example.com/1"}
			})
			awaitArrival(t, held.gate)
			test.replace(t, namespace)
			held.release(t)
			awaitChecked(t, namespace)

			issuer := newIssuer(namespace, "issuer")
			env.Get(t, issuer)
			awaitIssuerLines(t, issuer, 1)
			if lines := loggedLines(t, env.Issuer.LogPath(), namespace, `"msg":"The issuer is Ready"`); len(lines) != 2 {
				t.Errorf("want a line for the first issuer and one for the last:\n%s", strings.Join(lines, "\n"))
			}
			if answers := held.answers(); !slices.Equal(answers, test.writes) {
				t.Errorf("the API server answered %d to the writes, want %d", answers, test.writes)
			}
			if got := metric(t, reconcileErrors) - errorsBefore; got != 0 {
				t.Errorf("a conflict counts as %v errors", got)
			}
			checkLogsNoError(t, namespace)
		})
	}
}

// awaitIssuerLines waits until the log has this number of lines about the readiness of the issuer
// for its spec.
func awaitIssuerLines(t *testing.T, issuer *selfsigned.SelfSignedIssuer, want int) {
	t.Helper()
	about := []string{`"msg":"The issuer is Ready"`, string(issuer.UID), fmt.Sprintf(`"generation":%d`, issuer.Generation)}
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
	for name, test := range map[string]struct {
		written     metav1.Condition
		generations int64 // difference to the current generation
	}{
		"Ready for an older spec": {metav1.Condition{Status: metav1.ConditionTrue, Reason: "Checked", Message: "Succeeded checking the issuer"}, 1},
		"Failed for this spec":    {metav1.Condition{Status: metav1.ConditionFalse, Reason: "Failed", Message: "Failed permanently: no"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			namespace, key := newNamespace(t), newKey(t)
			createKeySecret(t, namespace, key)
			changeIssuer(t, namespace, func(spec *selfsigned.SelfSignedIssuerSpec) {
				spec.CRLDistributionPoints = []string{"http://example.com/1"}
			})
			awaitChecked(t, namespace)
			issuer := newIssuer(namespace, "issuer")
			env.Eventually(t, "writing a wrong status", func(ctx context.Context) error {
				env.Get(t, issuer)
				test.written.Type, test.written.ObservedGeneration = "Ready", issuer.Generation-test.generations
				apimeta.SetStatusCondition(&issuer.Status.Conditions, test.written)
				if err := env.Client.Status().Update(ctx, issuer); err != nil {
					return err
				}
				return nil
			})
			awaitChecked(t, namespace)
			request := newRequest(t, namespace, key)
			env.Create(t, request)
			checkIssued(t, request)
			awaitIssuerLines(t, issuer, 2)
		})
	}
}
