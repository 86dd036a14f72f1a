// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"context"
	"crypto"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	cmutil "github.com/cert-manager/cert-manager/pkg/api/util"
	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/certtext"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
)

// outcome is the expected outcome of a request: the reason of its Ready condition, and a part of
// the message.
type outcome struct{ reason, mention string }

var (
	issued                 = outcome{"Issued", "Secret "}
	waitsForSecret         = outcome{"Pending", "private-key-secret-name"}
	waitsForUsableKey      = outcome{"Pending", "PEM"}
	waitsForIssuer         = outcome{"Pending", "issuerRef"}
	failsWithoutAnnotation = outcome{"Failed", "private-key-secret-name"}
)

// settle waits until every request has its expected outcome, and returns the duration. It checks
// that every certificate is the request's own, valid, and was never replaced.
func (b *burst) settle(t *testing.T) time.Duration {
	t.Helper()
	begin := time.Now()
	env.Eventually(t, "expected outcomes", b.settled)
	took := time.Since(begin)
	for _, r := range b.tracked {
		if r.want == issued {
			r.checkCertificate(t, b.offsets)
		}
	}
	for _, problem := range certificates.problems() {
		t.Errorf("a certificate was replaced: %s", problem)
	}
	b.checkEvents(t)
	return took
}

// settled returns an error if a request does not have its expected outcome.
func (b *burst) settled(ctx context.Context) error {
	var list cmapi.CertificateRequestList
	if err := env.Client.List(ctx, &list, client.InNamespace(b.namespace)); err != nil {
		return err
	}
	var signing certificatesv1.CertificateSigningRequestList
	if err := env.Client.List(ctx, &signing, client.MatchingLabels{burstLabel: b.namespace}); err != nil {
		return err
	}
	objects := map[string]client.Object{}
	for i := range list.Items {
		objects[list.Items[i].Name] = &list.Items[i]
	}
	for i := range signing.Items {
		objects[signing.Items[i].Name] = &signing.Items[i]
	}
	wrong := 0
	var example string
	for _, r := range b.tracked {
		if object := objects[r.object.GetName()]; object != nil {
			r.object = object
		}
		if problem := r.problem(); problem != "" {
			wrong++
			example = problem
		}
	}
	if wrong > 0 {
		return fmt.Errorf("%d of %d requests, such as %s", wrong, len(b.tracked), example)
	}
	return nil
}

// problem describes the difference to the expected outcome.
func (r *tracked) problem() string {
	request, ok := r.object.(*cmapi.CertificateRequest)
	if !ok {
		csr := r.object.(*certificatesv1.CertificateSigningRequest)
		if hasCertificate := len(csr.Status.Certificate) > 0; hasCertificate != (r.want == issued) {
			return fmt.Sprintf("CSR %s with %+v", csr.Name, csr.Status.Conditions)
		}
		return ""
	}
	ready := cmutil.GetCertificateRequestCondition(request, cmapi.CertificateRequestConditionReady)
	if ready != nil && ready.Reason == r.want.reason && strings.Contains(ready.Message, r.want.mention) {
		return ""
	}
	return fmt.Sprintf("%s with %+v, want %s that mentions %s", request.Name, request.Status.Conditions, r.want.reason, r.want.mention)
}

// maxRound is longer than a round on a slow machine, and shorter than the jumps of the clock.
const maxRound = 30 * time.Minute

func (r *tracked) checkCertificate(t *testing.T, offsets []time.Duration) {
	t.Helper()
	certificate, err := certtext.Parse(certificateOf(r.object))
	if err != nil {
		t.Errorf("%s: %v", r.name, err)
		return
	}
	if err := certificate.CheckSignature(certificate.SignatureAlgorithm, certificate.RawTBSCertificate, certificate.Signature); err != nil {
		t.Errorf("%s: the certificate is not self-signed: %v", r.name, err)
	}
	public, ok := certificate.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
	expect.True(t, ok && public.Equal(r.key.Public()), "%s: the certificate is for another key", r.name)
	expect.True(t, certificate.Subject.CommonName == r.name, "%s: the certificate is for %s", r.name, certificate.Subject)
	valid := func(moment time.Time) bool {
		return !moment.After(certificate.NotAfter) && !moment.Before(certificate.NotBefore) && moment.Sub(certificate.NotBefore) < maxRound
	}
	now := time.Now()
	if !valid(now) && !slices.ContainsFunc(offsets, func(offset time.Duration) bool { return valid(now.Add(offset)) }) {
		t.Errorf("%s: the certificate is valid from %s to %s", r.name, certificate.NotBefore, certificate.NotAfter)
	}
	expect.True(t, !certificates.differs(r.object), "%s: the certificate was replaced", r.name)
	if request, ok := r.object.(*cmapi.CertificateRequest); ok && string(request.Status.CA) != string(request.Status.Certificate) {
		t.Errorf("%s: status.ca is not the certificate", r.name)
	}
}

// checkEvents finds requests with several events for a certificate.
func (b *burst) checkEvents(t *testing.T) {
	t.Helper()
	var list eventsv1.EventList
	env.Eventually(t, "events", func(ctx context.Context) error { return env.Client.List(ctx, &list) })
	counts := map[types.UID]int32{}
	for _, event := range list.Items {
		if event.Reason == "CertificateIssued" {
			counts[event.Regarding.UID]++
			if event.Series != nil {
				counts[event.Regarding.UID] += event.Series.Count
			}
		}
	}
	for _, r := range b.tracked {
		if count := counts[r.object.GetUID()]; count > 1 {
			t.Errorf("%s: %d events for its certificate", r.name, count)
		}
	}
}
