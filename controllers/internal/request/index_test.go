// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package request

import (
	"fmt"
	"testing"

	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/cert-manager/selfsigned-issuer/controllers/internal/testsupport"
)

// TestFinishedRequestsAreInNoIndex has 10,000 finished requests and a pending one: an event of their
// Secret or issuer enqueues only the latter.
func TestFinishedRequestsAreInNoIndex(t *testing.T) {
	kind := CertificateRequests()
	indexers := cache.Indexers{}
	for name, values := range kind.Indexes() {
		indexers[name] = func(object any) ([]string, error) { return values(object.(client.Object)), nil }
	}
	indexer := cache.NewIndexer(cache.MetaNamespaceKeyFunc, indexers)
	const finished = 10000
	for i := range finished {
		request := testsupport.PendingRequest(fmt.Sprintf("finished-%d", i))
		request.Status.Certificate = []byte("certificate")
		if err := indexer.Add(request); err != nil {
			t.Fatal(err)
		}
	}
	if err := indexer.Add(testsupport.PendingRequest("waits")); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{BySecret: "sandbox/key", ByIssuer: "SelfSignedIssuer sandbox/issuer"} {
		found, err := indexer.IndexKeys(name, value)
		if err != nil || len(found) != 1 || found[0] != "sandbox/waits" {
			t.Errorf("index %s finds %d requests, %v, want the one that waits", name, len(found), err)
		}
	}
}
