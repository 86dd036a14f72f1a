// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"strings"
	"testing"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	corev1 "k8s.io/api/core/v1"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

// TestAlternatingSecret: while its Secret alternates, a pending request is written at most once in
// writeInterval after the first change, with one event each. The certificate is not delayed.
func TestAlternatingSecret(t *testing.T) {
	t.Parallel()
	writes := 0
	f := newFixture(t, interceptor.Funcs{
		SubResourcePatch: func(ctx context.Context, c client.Client, subResource string, object client.Object, patch client.Patch, options ...client.SubResourcePatchOption) error {
			writes++
			return applyStatus(ctx, c, subResource, object, patch, options...)
		},
	})
	var secret corev1.Secret
	if err := f.client.Get(t.Context(), client.ObjectKey{Namespace: "sandbox", Name: "key"}, &secret); err != nil {
		t.Fatal(err)
	}
	key := secret.Data["tls.key"]
	start := time.Now()
	for _, step := range []struct {
		after  time.Duration
		key    string
		says   string
		writes int
		next   time.Duration // until the next reconcile
	}{
		{0, "", "has no data", 1, 0},
		{0, "junk", "PEM", 2, 0}, // the first change
		{time.Second, "", "PEM", 2, 4 * time.Second},
		{2 * time.Second, "junk", "PEM", 2, 0}, // the message is already in the condition
		{4 * time.Second, "", "PEM", 2, time.Second},
		{5 * time.Second, "", "has no data", 3, 0},
		{6 * time.Second, "junk", "has no data", 3, 4 * time.Second},
		{7 * time.Second, string(key), "Certificate issued", 4, 0},
	} {
		f.reconciler.clock = clocktesting.NewFakePassiveClock(start.Add(step.after))
		secret.Data = map[string][]byte{"tls.key": []byte(step.key)}
		if err := f.client.Update(t.Context(), &secret); err != nil {
			t.Fatal(err)
		}
		result, err := f.reconcile()
		if err != nil || result.RequeueAfter != step.next {
			t.Errorf("after %s: %+v, %v: want the next reconcile after %s", step.after, result, err, step.next)
		}
		if got := f.ready(t); !strings.Contains(got.Message, step.says) || writes != step.writes || len(f.recorder.Events) != step.writes {
			t.Errorf("after %s: %d writes, %d events, %q: want %d, %q", step.after, writes, len(f.recorder.Events), got.Message, step.writes, step.says)
		}
	}
	if got := f.ready(t).Reason; got != cmapi.CertificateRequestReasonIssued {
		t.Errorf("the request is %s, want Issued", got)
	}
	if len(f.reconciler.tracker.byID) > 0 {
		t.Error("a finished request is still remembered")
	}
}
