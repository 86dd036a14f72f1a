// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package request

import (
	"bytes"
	"crypto/ecdsa"
	"fmt"
	"runtime"
	"testing"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/uuid"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/cert-manager/selfsigned-issuer/controllers/internal/testsupport"
)

// TestPlaceholderSizes measures the memory of placeholders in the cache, with the keys and the index
// by namespace of its store.
func TestPlaceholderSizes(t *testing.T) {
	const count, limit = 10_000, 300
	key := testsupport.Key(t)
	named := func(o client.Object, i int) client.Object {
		o.SetNamespace(fmt.Sprintf("tenant-%d", i%100))
		o.SetName(fmt.Sprintf("my-application-tls-%d", i))
		o.SetUID(types.UID(string(uuid.NewUUID())))
		o.SetResourceVersion(fmt.Sprint(1_000_000 + i))
		decorate(o)
		return o
	}
	for name, object := range map[string]func(i int) client.Object{
		"finished request": func(i int) client.Object { return named(issuedRequest(t, key), i) },
		"foreign request": func(i int) client.Object {
			request := issuedRequest(t, key)
			request.Spec.IssuerRef.Group = "example.com"
			return named(request, i)
		},
		"foreign CSR": func(i int) client.Object {
			csr := &certificatesv1.CertificateSigningRequest{}
			csr.Spec.SignerName, csr.Spec.Request = "kubernetes.io/kubelet-serving", bytes.Clone(large)
			named(csr, i).SetNamespace("")
			return csr
		},
		"Secret": func(i int) client.Object { return named(&metav1.PartialObjectMetadata{}, i) },
	} {
		t.Run(name, func(t *testing.T) {
			store := toolscache.NewIndexer(toolscache.DeletionHandlingMetaNamespaceKeyFunc, toolscache.Indexers{
				toolscache.NamespaceIndex: toolscache.MetaNamespaceIndexFunc,
			})
			before := testsupport.Heap()
			for i := range count {
				if err := store.Add(transformed(t, object(i))); err != nil {
					t.Fatal(err)
				}
			}
			size := (testsupport.Heap() - before) / count
			t.Logf("%d bytes", size)
			if size > limit {
				t.Errorf("%d bytes are kept, want at most %d", size, limit)
			}
			runtime.KeepAlive(store)
		})
	}
}

func issuedRequest(t *testing.T, key *ecdsa.PrivateKey) *cmapi.CertificateRequest {
	t.Helper()
	request := testsupport.ApprovedRequest(t, key, time.Now())
	request.Status.Certificate, request.Status.CA = bytes.Clone(large), bytes.Clone(large)
	return request
}
