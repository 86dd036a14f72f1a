// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"syscall"
	"testing"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/cert-manager/selfsigned-issuer/controllers/internal/outcome"
	"github.com/cert-manager/selfsigned-issuer/controllers/internal/testsupport"
)

// newLargeFixture has a request with so many names that the cache omits its spec. list changes the
// result of live reads of requests.
func newLargeFixture(t *testing.T, list func(*cmapi.CertificateRequestList) error) fixture {
	t.Helper()
	key := testsupport.Key(t)
	template := &x509.CertificateRequest{}
	for i := range 300 {
		template.DNSNames = append(template.DNSNames, fmt.Sprintf("host-%d.example.com", i))
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	if err != nil {
		t.Fatal(err)
	}
	request := testsupport.ApprovedRequest(t, key, time.Now())
	request.Spec.Request = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: csr})
	f := newFixture(t, interceptor.Funcs{})
	server := f.client.(client.WithWatch)
	f.reconciler.client = strippedReads(server)
	f.reconciler.requests = requestReader{interceptor.NewClient(server, interceptor.Funcs{
		List: func(ctx context.Context, c client.WithWatch, objects client.ObjectList, options ...client.ListOption) error {
			listed := (&client.ListOptions{}).ApplyOptions(options)
			if listed.Namespace != "sandbox" || listed.FieldSelector.String() != "metadata.name=request" {
				t.Errorf("listed %+v, want the one request", listed)
			}
			if err := c.List(ctx, objects, client.InNamespace(listed.Namespace)); err != nil { // the fake has no such selector
				return err
			}
			return list(objects.(*cmapi.CertificateRequestList))
		},
	})}
	for _, object := range []client.Object{request, secretWith(t, key)} {
		existing := object.DeepCopyObject().(client.Object)
		if err := f.client.Delete(t.Context(), existing); err != nil {
			t.Fatal(err)
		}
		if err := f.client.Create(t.Context(), object); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

// strippedReads returns objects after the cache's transform.
func strippedReads(server client.WithWatch) client.Client {
	return interceptor.NewClient(server, interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
			if err := c.Get(ctx, key, object, options...); err != nil {
				return err
			}
			_, err := stripUnusedFields(object)
			return err
		},
	})
}

// TestLargeRequests: a request without its spec in the cache is read from the API server when it is
// signed.
func TestLargeRequests(t *testing.T) {
	t.Parallel()
	reads := 0
	f := newLargeFixture(t, func(*cmapi.CertificateRequestList) error {
		reads++
		return nil
	})
	if _, err := f.reconcile(); err != nil {
		t.Fatal(err)
	}
	if got := f.ready(t); got.Reason != cmapi.CertificateRequestReasonIssued || reads != 1 {
		t.Errorf("%s: %s after %d reads, want Issued after one", got.Reason, got.Message, reads)
	}
	if len(f.reconciler.slots.large.keys) > 0 {
		t.Error("a slot was not given back")
	}
}

// TestLargeRequestNotRead: if it cannot be read, the request is retried and never fails.
func TestLargeRequestNotRead(t *testing.T) {
	t.Parallel()
	f := newLargeFixture(t, func(*cmapi.CertificateRequestList) error { return syscall.ECONNREFUSED })
	if _, err := f.reconcile(); err == nil {
		t.Error("want the failure, so that it is retried with backoff")
	}
	want := outcome.Args{"kind": "CertificateRequest", "detail": "connection refused"}.Message(outcome.ReasonRequestReadError)
	if got := f.ready(t); got.Reason != cmapi.CertificateRequestReasonPending || got.Message != want {
		t.Errorf("%s: %s, want Pending: %s", got.Reason, got.Message, want)
	}

	f = newLargeFixture(t, func(list *cmapi.CertificateRequestList) error {
		list.Items[0].UID = types.UID("successor")
		return nil
	})
	result, err := f.reconcile()
	if got := f.ready(t); err != nil || result.RequeueAfter == 0 || got.Reason != cmapi.CertificateRequestReasonPending {
		t.Errorf("beside a successor of the same name: %+v, %v, %s", result, err, got.Reason)
	}
	if len(f.reconciler.slots.large.keys) > 0 {
		t.Error("a slot was not given back")
	}
}

// TestUnapprovedRequestsAreNotRead: the whole request is not read before it is approved.
func TestUnapprovedRequestsAreNotRead(t *testing.T) {
	t.Parallel()
	f := newLargeFixture(t, func(*cmapi.CertificateRequestList) error {
		t.Error("the request was read")
		return nil
	})
	var request cmapi.CertificateRequest
	if err := f.client.Get(t.Context(), requestKey, &request); err != nil {
		t.Fatal(err)
	}
	request.Status = cmapi.CertificateRequestStatus{}
	if err := f.client.Status().Update(t.Context(), &request); err != nil {
		t.Fatal(err)
	}
	if result, err := f.reconcile(); err != nil || result.RequeueAfter != 0 || f.ready(t).Reason != "" {
		t.Errorf("%+v, %v, %s", result, err, f.ready(t).Reason)
	}
}

// TestLargeRequestWaitsUnread: a large request that waits for its key is not read again each time
// that its Secret is, and is signed when the key is there.
func TestLargeRequestWaitsUnread(t *testing.T) {
	t.Parallel()
	reads := 0
	f := newLargeFixture(t, func(*cmapi.CertificateRequestList) error {
		reads++
		return nil
	})
	var secret corev1.Secret
	if err := f.client.Get(t.Context(), types.NamespacedName{Namespace: requestKey.Namespace, Name: "key"}, &secret); err != nil {
		t.Fatal(err)
	}
	for _, data := range []map[string][]byte{nil, nil, {"other": nil}, {"tls.key": []byte("junk")}} {
		f.setSecret(t, data)
		if _, err := f.reconcile(); err != nil {
			t.Fatal(err)
		}
	}
	if reads != 1 {
		t.Errorf("%d reads of the request while it waits, want 1", reads)
	}
	f.setSecret(t, secret.Data)
	if _, err := f.reconcile(); err != nil {
		t.Fatal(err)
	}
	if got := f.ready(t); got.Reason != cmapi.CertificateRequestReasonIssued || reads != 2 {
		t.Errorf("%s: %s after %d reads, want Issued after two", got.Reason, got.Message, reads)
	}
}
