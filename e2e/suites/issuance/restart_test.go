// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package issuance_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/faultproxy"
)

// TestOneCertificatePerRequest edits signed requests and changes the leader: none of them is
// written again, not even by a result in flight of the deposed leader. It must not run in parallel,
// because other tests would wait for the new leader.
func TestOneCertificatePerRequest(t *testing.T) {
	namespace, key := newNamespace(t), newKey(t)
	createKeySecret(t, namespace, key)
	requests := make([]*cmapi.CertificateRequest, 10)
	for i := range requests {
		requests[i] = newRequest(t, namespace, key)
		env.Create(t, requests[i])
	}
	for i, request := range requests {
		checkIssued(t, request)
		if i%2 == 0 {
			edit(t, request)
		}
	}
	last := named(newRequest(t, namespace, key), "last")
	held := holdWrites(t, namespace, last.Name)
	env.Create(t, last)
	awaitArrival(t, held.gate)
	held.holdNoMore()
	deposeLeader(t)
	checkIssued(t, last) // by the new leader
	edit(t, last)
	held.release(t)
	barrier(t, namespace, key)
	for _, request := range slices.Concat(requests, []*cmapi.CertificateRequest{last}) {
		before := request.DeepCopy()
		env.Get(t, request)
		if request.ResourceVersion != before.ResourceVersion {
			t.Errorf("%s was written again: %+v", request.Name, request.Status)
		}
		checkEvents(t, request, "CertificateIssued")
	}
}

// edit changes a label and an annotation.
func edit(t *testing.T, request *cmapi.CertificateRequest) {
	t.Helper()
	env.Eventually(t, "editing "+request.Name, func(ctx context.Context) error {
		env.Get(t, request)
		request.Labels = map[string]string{"edited": "true"}
		request.Annotations["edited"] = "true"
		if err := env.Client.Update(ctx, request); err != nil {
			return err
		}
		return nil
	})
}

// deposeLeader starts a second replica and rejects renewals of the Lease by the first one, which exits.
func deposeLeader(t *testing.T) {
	t.Helper()
	rule := env.Proxy.Inject(faultproxy.On("PUT", "/apis/coordination.k8s.io/v1/.*/leases/.*"),
		faultproxy.Status(http.StatusConflict, metav1.StatusReasonConflict, "the Lease has been modified"))
	t.Cleanup(rule.Remove)
	replica, err := env.Installation.Start(t.Context(), env.Binary, "second", issuerArgs...)
	if err != nil {
		t.Fatal(err)
	}
	deposed := env.Issuer
	env.Issuer = replica
	select {
	case <-deposed.Done():
	case <-time.After(timeout):
		t.Fatal("the leader that cannot renew its Lease is still running")
	}
	if !strings.Contains(deposed.Tail(10), "leader election lost") {
		t.Errorf("the deposed leader does not log why it ended:\n%s", deposed.Tail(10))
	}
	rule.Remove()
	if err := replica.AwaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
}
