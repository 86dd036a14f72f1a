// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package signer_test

import (
	"crypto/x509"
	"fmt"
	"testing"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	"github.com/cert-manager/cert-manager/pkg/util/pki"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/cert-manager/selfsigned-issuer/signer"
)

const (
	day = 24 * time.Hour

	// longest is the largest duration that a Certificate can have.
	longest = 290 * 365 * day
	// mostBackdated is the largest spec.backdate of an issuer.
	mostBackdated = 24 * time.Hour
)

// renewal has the fields of a Certificate about its renewal.
type renewal struct {
	before     *metav1.Duration
	percentage *int32
}

// admitted has the rules of cert-manager's webhook, whose code cannot be imported.
func (r renewal) admitted(duration time.Duration) bool {
	switch {
	case duration < cmapi.MinimumCertificateDuration:
		return false
	case r.before != nil:
		return r.before.Duration >= cmapi.MinimumRenewBefore && r.before.Duration < duration
	case r.percentage != nil:
		kept := time.Duration(float64(duration) * float64(100-*r.percentage) / 100)
		return kept >= cmapi.MinimumRenewBefore && kept < duration
	default:
		return true
	}
}

// after returns how long after signing cert-manager renews the certificate.
func (r renewal) after(t reporter, certificate *x509.Certificate, signed time.Time) time.Duration {
	t.Helper()
	due, err := pki.RenewalTime(certificate.NotBefore, certificate.NotAfter, r.before, r.percentage, nil)
	if err != nil {
		t.Fatalf("RenewalTime: %v", err)
	}
	return due.Sub(signed)
}

// TestBackdatedIsNotRenewedAtOnce gets from cert-manager when it renews certificates
// with the maximum backdate: for each percentage, and for renewBefore from the minimum
// to the maximum.
func TestBackdatedIsNotRenewedAtOnce(t *testing.T) {
	durations := []time.Duration{time.Hour, day, 10 * day, 90 * day, 10 * 365 * day, longest}
	for percentage := range int32(100) { // the shortest duration that admits each percentage
		durations = append(durations, max(time.Hour, cmapi.MinimumRenewBefore*100/time.Duration(100-percentage)))
	}
	for _, duration := range durations {
		t.Run(duration.String(), func(t *testing.T) {
			renewals := []renewal{{}}
			for percentage := int32(1); percentage <= 99; percentage++ {
				renewals = append(renewals, renewal{percentage: &percentage})
			}
			for _, before := range []time.Duration{cmapi.MinimumRenewBefore, duration / 3, duration / 2, duration - 5*time.Minute, duration - time.Second} {
				renewals = append(renewals, renewal{before: &metav1.Duration{Duration: before}})
			}
			plain, backdated := signTwice(t, duration, mostBackdated, now)
			for _, renewal := range renewals {
				if renewal.admitted(duration) {
					compareRenewals(t, renewal, plain, backdated, now)
				}
			}
		})
	}
}

// TestPropertyBackdatedIsNotRenewedAtOnce draws signing times with fractions of seconds,
// and any duration, backdate and renewBefore.
func TestPropertyBackdatedIsNotRenewedAtOnce(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		duration := time.Duration(rapid.Int64Range(int64(cmapi.MinimumCertificateDuration), int64(longest)).Draw(r, "duration"))
		if rapid.Bool().Draw(r, "short") {
			duration = cmapi.MinimumCertificateDuration + duration%day
		}
		backdate := time.Duration(rapid.Int64Range(0, int64(mostBackdated)).Draw(r, "backdate"))
		signed := now.Add(time.Duration(rapid.Int64Range(0, int64(time.Second)-1).Draw(r, "fraction")))
		renewal := renewal{percentage: new(rapid.Int32Range(1, 99).Draw(r, "percentage"))}
		if rapid.Bool().Draw(r, "renewBefore") {
			renewal.percentage = nil
			renewal.before = &metav1.Duration{Duration: time.Duration(rapid.Int64Range(int64(cmapi.MinimumRenewBefore), int64(duration)-1).Draw(r, "before"))}
		}
		if !renewal.admitted(duration) {
			r.Skip("not admitted")
		}
		plain, backdated := signTwice(r, duration, backdate, signed)
		compareRenewals(r, renewal, plain, backdated, signed)
	})
}

// signTwice signs the same request without and with backdating.
func signTwice(t reporter, duration, backdate time.Duration, signed time.Time) (plain, backdated *x509.Certificate) {
	t.Helper()
	request := leafRequest(encodeCSR(t, named, ed()))
	request.Duration = duration
	candidate := parse(t, request)
	certificates := make([]*x509.Certificate, 2)
	for i, options := range []signer.Options{{}, {Backdate: backdate}} {
		result, err := signer.SelfSign(candidate, ed(), options, signed)
		if err != nil {
			t.Fatalf("SelfSign: %v", err)
		}
		certificates[i] = decodeCertificate(t, result.PEM)
	}
	return certificates[0], certificates[1]
}

// compareRenewals allows a renewal that is earlier by less than half of the time without
// backdating. With renewBefore, the renewal must not be earlier, to the second.
func compareRenewals(t reporter, renewal renewal, plain, backdated *x509.Certificate, signed time.Time) {
	t.Helper()
	without, with := renewal.after(t, plain, signed), renewal.after(t, backdated, signed)
	if renewal.before != nil {
		if kept := plain.NotAfter.Sub(signed) - renewal.before.Duration; with < kept-time.Second {
			t.Errorf("%s: renewed after %s, want %s", renewal, with, kept)
		}
		return
	}
	if with < without/2 || with < 2*time.Minute {
		t.Errorf("%s: renewed after %s, without backdating after %s; want half of that and 2m at least", renewal, with, without)
	}
}

func (r renewal) String() string {
	switch {
	case r.before != nil:
		return "renewBefore " + r.before.Duration.String()
	case r.percentage != nil:
		return fmt.Sprintf("renewBeforePercentage %d", *r.percentage)
	default:
		return "neither renewBefore nor renewBeforePercentage"
	}
}
