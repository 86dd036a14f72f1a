// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"fmt"
	"testing"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	selfsigned "github.com/cert-manager/selfsigned-issuer/api/v1alpha1"
)

// TestFinishedRequestsAreInNoIndex has 10,000 finished requests and a pending one: an event of their
// Secret or issuer enqueues only the latter.
func TestFinishedRequestsAreInNoIndex(t *testing.T) {
	kind := certificateRequests()
	index := func(values func(client.Object) []string) cache.IndexFunc {
		return func(object any) ([]string, error) { return values(object.(client.Object)), nil }
	}
	indexer := cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{
		bySecret: index(kind.secretsWaitedFor), byIssuer: index(kind.issuersWaitedFor),
	})
	const finished = 10000
	for i := range finished {
		request := waitingFor(fmt.Sprintf("finished-%d", i))
		request.Status.Certificate = []byte("certificate")
		if err := indexer.Add(request); err != nil {
			t.Fatal(err)
		}
	}
	if err := indexer.Add(waitingFor("waits")); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{bySecret: "sandbox/key", byIssuer: "SelfSignedIssuer sandbox/issuer"} {
		found, err := indexer.IndexKeys(name, value)
		if err != nil || len(found) != 1 || found[0] != "sandbox/waits" {
			t.Errorf("index %s finds %d requests, %v, want the one that waits", name, len(found), err)
		}
	}
}

// waitingFor returns an approved request for the Secret sandbox/key.
func waitingFor(name string) *cmapi.CertificateRequest {
	return &cmapi.CertificateRequest{
		ObjectMeta: metav1.ObjectMeta{Namespace: "sandbox", Name: name, Annotations: map[string]string{cmapi.CertificateRequestPrivateKeyAnnotationKey: "key"}},
		Spec:       cmapi.CertificateRequestSpec{IssuerRef: cmmeta.IssuerReference{Group: selfsigned.GroupName, Kind: issuerKind, Name: "issuer"}},
		Status: cmapi.CertificateRequestStatus{Conditions: []cmapi.CertificateRequestCondition{
			{Type: cmapi.CertificateRequestConditionApproved, Status: cmmeta.ConditionTrue},
		}},
	}
}
