// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"crypto/sha256"
	"errors"
	"strings"
	"syscall"
	"testing"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/cert-manager/selfsigned-issuer/controllers/internal/outcome"
	"github.com/cert-manager/selfsigned-issuer/controllers/internal/request"
	"github.com/cert-manager/selfsigned-issuer/controllers/internal/testsupport"
	"github.com/cert-manager/selfsigned-issuer/signer"
)

// TestLostAnswer loses the responses to the last writes of a request, one of which the API server
// accepts. The end is reported and counted once, when the cache has it.
func TestLostAnswer(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*cmapi.CertificateRequest)
		series string
		events int
	}{
		"issued": {func(*cmapi.CertificateRequest) {}, `reason="CertificateIssued",result="issued"`, 1},
		"failed": {func(r *cmapi.CertificateRequest) { r.Annotations = nil }, `reason="MissingAnnotation",result="failed"`, 1},
		"denied": {func(r *cmapi.CertificateRequest) {
			r.Status.Conditions[0].Type = cmapi.CertificateRequestConditionDenied
		}, `reason="Denied",result="denied"`, 0},
	} {
		for _, done := range []int{1, 2} { // the attempt that the API server does
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				writes := 0
				f := newFixture(t, interceptor.Funcs{
					SubResourcePatch: func(ctx context.Context, c client.Client, resource string, object client.Object, patch client.Patch, options ...client.SubResourcePatchOption) error {
						if writes++; writes == done {
							if err := applyStatus(ctx, c, resource, object, patch, options...); err != nil {
								return err
							}
						}
						return syscall.ECONNRESET
					},
				})
				f.change(t, test.change)
				f.reconciler.client = strippedReads(f.client.(client.WithWatch))
				for attempt := range done + 2 {
					_, err := f.reconcile()
					if lost := errors.Is(err, syscall.ECONNRESET); lost != (attempt < done) {
						t.Errorf("attempt %d: %v", attempt, err)
					}
					counted := strings.Contains(testsupport.Scrape(t, f.reconciler.metrics), test.series+"} 1")
					if counted != (attempt >= done) {
						t.Errorf("attempt %d: counted %t", attempt, counted)
					}
				}
				if writes != done || len(f.recorder.Events) != test.events {
					t.Errorf("%d writes and %d events, want %d and %d", writes, len(f.recorder.Events), done, test.events)
				}
				if left := len(f.reconciler.unconfirmed.writes.Keys()); left > 0 {
					t.Errorf("%d writes are remembered", left)
				}
			})
		}
	}
}

// change changes the request and its status.
func (f fixture) change(t *testing.T, change func(*cmapi.CertificateRequest)) {
	t.Helper()
	request := f.request(t)
	change(request)
	whole := request.DeepCopy()
	if err := f.client.Update(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	whole.ResourceVersion = request.ResourceVersion
	if err := f.client.Status().Update(t.Context(), whole); err != nil {
		t.Fatal(err)
	}
}

// TestLostRefusal: the write of another client after a failed attempt is not reported.
func TestLostRefusal(t *testing.T) {
	t.Parallel()
	f := newFixture(t, interceptor.Funcs{
		SubResourcePatch: func(context.Context, client.Client, string, client.Object, client.Patch, ...client.SubResourcePatchOption) error {
			return syscall.ECONNRESET
		},
	})
	if _, err := f.reconcile(); !errors.Is(err, syscall.ECONNRESET) {
		t.Fatal(err)
	}
	f.change(t, func(r *cmapi.CertificateRequest) { r.Status.Certificate = []byte("another") })
	f.reconciler.client = strippedReads(f.client.(client.WithWatch))
	if _, err := f.reconcile(); err != nil {
		t.Fatal(err)
	}
	if len(f.recorder.Events) > 0 || strings.Contains(testsupport.Scrape(t, f.reconciler.metrics), `issued"} 1`) {
		t.Error("the certificate of another client was reported")
	}
	if left := len(f.reconciler.unconfirmed.writes.Keys()); left > 0 {
		t.Errorf("%d writes are remembered", left)
	}
}

// TestUnconfirmedIsBounded: only the last attempts for an object are remembered, and none of them
// applies to a re-created object.
func TestUnconfirmedIsBounded(t *testing.T) {
	t.Parallel()
	writes, object := newUnconfirmed[int](), testsupport.PendingRequest("request")
	for i := range 10 * maxUnconfirmed {
		another := object.DeepCopy()
		another.Name, another.UID = "another", types.UID(rune(i))
		writes.add(another, i)
		writes.add(object, i)
	}
	if got := writes.of(object); len(got) != maxUnconfirmedAttempts || got[len(got)-1] != 10*maxUnconfirmed-1 {
		t.Errorf("remembered are %v, want the last %d", got, maxUnconfirmedAttempts)
	}
	object.UID = "successor"
	if got := writes.of(object); len(got) > 0 {
		t.Errorf("for a successor %v are remembered", got)
	}
}

// TestEnds: the end of a request in the API server equals that of the written decision.
func TestEnds(t *testing.T) {
	t.Parallel()
	for _, v := range []*outcome.Decision{
		{Reason: outcome.ReasonIssued, Message: "Issued.", Certificate: signer.Result{PEM: []byte("certificate")}},
		{Reason: outcome.ReasonMissingAnnotation, Message: "Failed."},
	} {
		cr, csr := testsupport.PendingRequest("request"), &certificatesv1.CertificateSigningRequest{}
		requests := []request.Request{
			request.CertificateRequests().Wrap(cr), request.CertificateSigningRequests("", request.AccessReviewer{}).Wrap(csr),
		}
		if status, ok := requests[0].Status(v, metav1.Now()); ok {
			cr.Status = status.(cmapi.CertificateRequestStatus)
		}
		if status, ok := requests[1].Status(v, metav1.Now()); ok {
			csr.Status = status.(certificatesv1.CertificateSigningRequestStatus)
		}
		for _, r := range requests {
			if written := sha256.Sum256([]byte(r.End())); written != unconfirmedEndOf(v).digest {
				t.Errorf("%T ends with %q after %s", r, r.End(), v.Reason)
			}
		}
	}
}
