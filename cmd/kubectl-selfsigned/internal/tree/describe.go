// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package tree

import (
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/cert-manager/selfsigned-issuer/cmd/kubectl-selfsigned/internal/cluster"
	"github.com/cert-manager/selfsigned-issuer/cmd/kubectl-selfsigned/internal/pki"
)

// Signer is the CA that has signed a certificate.
type Signer struct {
	// Generation of the CA, relative to the Secret of the issuer.
	Generation Generation `json:"generation"`
	// Certificate is the namespace and the name of the CA's Certificate, if there is one with its key.
	Certificate string `json:"certificate,omitempty"`
	// KeyIdentifier is empty if the certificate does not have it.
	KeyIdentifier string `json:"keyIdentifier,omitempty"`
	// NotAfter is when the CA expires, if it is known.
	NotAfter *metav1.Time `json:"notAfter,omitempty"`
}

// Generation is a generation of a CA.
type Generation string

// The generations of a CA.
const (
	// Current is the certificate in the Secret of the issuer.
	Current Generation = "Current"
	// SameKey is an earlier certificate with the same key: clients that trust one of them accept the
	// leaf.
	SameKey Generation = "SameKey"
	// OtherKey is a CA with another key: clients need its certificate.
	OtherKey Generation = "OtherKey"
	// Unknown means that one of the Secrets was not read.
	Unknown Generation = "Unknown"
)

// Warning is a problem of a Certificate.
type Warning struct {
	Reason  string `json:"reason"`
	Message string `json:"message"`
}

// The reasons of warnings.
const (
	ReasonExpiresSoon  = "ExpiresSoon"
	ReasonOutlivesCA   = "OutlivesCA"
	ReasonKeyRotates   = "KeyRotates"
	ReasonEmptySubject = "EmptySubject"
)

// describer adds what Secrets contain.
type describer struct {
	secrets    cluster.Secrets
	now        time.Time
	warnBefore time.Duration
	cas        []*Certificate // whose Secret was read
}

// Describe adds what the Secrets contain, and warnings. A certificate that expires within warnBefore gets
// one.
func (t *Tree) Describe(secrets cluster.Secrets, now time.Time, warnBefore time.Duration) {
	d := &describer{secrets: secrets, now: now, warnBefore: warnBefore}
	for _, root := range slices.Concat(t.Roots, t.others) {
		d.read(root)
	}
	for _, root := range t.Roots {
		d.warn(root, nil)
		if !KeepsKey(root.Object) {
			root.addWarning(ReasonKeyRotates, "the next renewal changes the key of the root, and clients reject new leaves: "+
				"set spec.privateKey.rotationPolicy to Never")
		}
		d.describeBelow(root, []*Certificate{root})
	}
}

// read adds what the Secrets of a Certificate and of all below contain.
func (d *describer) read(certificate *Certificate) {
	secret := d.secrets[certificate.secretKey()]
	if secret.Err != nil {
		certificate.SecretError = secret.Err.Error()
	}
	if secret.Secret != nil {
		certificate.public = secret.Secret
		public := secret.Certificate
		certificate.Subject = public.Subject.String()
		certificate.KeyIdentifier = pki.KeyIdentifier(public)
		certificate.Algorithm = pki.Algorithm(public.PublicKey)
		certificate.NotAfter = &metav1.Time{Time: public.NotAfter}
		if certificate.Object.Spec.IsCA {
			d.cas = append(d.cas, certificate)
		}
	}
	if certificate.NotAfter != nil {
		certificate.TimeLeft = timeLeft(certificate.NotAfter.Sub(d.now))
	}
	for _, issuer := range certificate.Issuers {
		for _, below := range issuer.Certificates {
			d.read(below)
		}
	}
}

func timeLeft(left time.Duration) string {
	if left <= 0 {
		return "expired"
	}
	return duration.HumanDuration(left)
}

// describeBelow describes the Certificates below the last of the CAs.
func (d *describer) describeBelow(ca *Certificate, cas []*Certificate) {
	for _, issuer := range ca.Issuers {
		for _, below := range issuer.Certificates {
			below.SignedBy = d.signer(below, ca)
			d.warn(below, cas)
			d.describeBelow(below, append(slices.Clip(cas), below))
		}
	}
}

// signer finds the CA that has signed a certificate, which can be another than that of its issuer: the
// issuer may have changed since.
func (d *describer) signer(certificate, ca *Certificate) *Signer {
	if certificate.public == nil {
		return &Signer{Generation: Unknown}
	}
	signed := certificate.public
	if ca.public != nil && pki.Signed(signed.Certificate, ca.public.Certificate) {
		generation := Current
		if !hasCopy(signed, ca.public) {
			generation = SameKey
		}
		return &Signer{generation, ca.Key().String(), ca.KeyIdentifier, ca.NotAfter}
	}
	signer := &Signer{Generation: OtherKey, KeyIdentifier: fmt.Sprintf("%X", signed.Certificate.AuthorityKeyId)}
	if ca.public == nil {
		signer.Generation = Unknown
	}
	for _, candidate := range signed.CAs {
		if pki.Signed(signed.Certificate, candidate) {
			signer.KeyIdentifier, signer.NotAfter = pki.KeyIdentifier(candidate), &metav1.Time{Time: candidate.NotAfter}
		}
	}
	for _, other := range d.cas {
		if pki.Signed(signed.Certificate, other.public.Certificate) {
			signer.Certificate, signer.KeyIdentifier = other.Key().String(), other.KeyIdentifier
		}
	}
	return signer
}

// hasCopy reports whether the Secret of a leaf has the current certificate of a CA, or no other
// certificate with its key.
func hasCopy(leaf, ca *pki.Secret) bool {
	other := false
	for _, found := range leaf.CAs {
		if found.Equal(ca.Certificate) {
			return true
		}
		other = other || pki.SameKey(found, ca.Certificate)
	}
	return !other
}

// warn adds the warnings of a Certificate below the CAs.
func (d *describer) warn(certificate *Certificate, cas []*Certificate) {
	if certificate.NotAfter != nil && certificate.NotAfter.Sub(d.now) < d.warnBefore {
		certificate.addWarning(ReasonExpiresSoon, "expires on %s: check why cert-manager has not renewed it, or extend spec.duration",
			date(certificate.NotAfter))
	}
	for _, ca := range cas {
		if outlives(certificate, ca) {
			certificate.addWarning(ReasonOutlivesCA, "expires on %s, after its CA %s, which expires on %s: "+
				"shorten spec.duration, or renew the CA and then this Certificate",
				date(certificate.NotAfter), ca.Key(), date(ca.NotAfter))
			break
		}
	}
	if certificate.Object.Spec.IsCA && certificate.public != nil && certificate.Subject == "" {
		certificate.addWarning(ReasonEmptySubject, "the subject is empty, and some clients reject what it signs: "+
			"set spec.commonName or spec.subject")
	}
}

func outlives(certificate, ca *Certificate) bool {
	return certificate.NotAfter != nil && ca.NotAfter != nil && certificate.NotAfter.After(ca.NotAfter.Time)
}

func date(t *metav1.Time) string { return t.UTC().Format(time.RFC3339) }

func (c *Certificate) addWarning(reason, format string, args ...any) {
	c.Warnings = append(c.Warnings, Warning{reason, fmt.Sprintf(format, args...)})
}

// Unread returns why Secrets in the tree were not read, in the order of their names.
func (t *Tree) Unread() []string {
	var unread []string
	for _, root := range t.Roots {
		for _, certificate := range root.all() {
			if certificate.SecretError != "" {
				unread = append(unread, fmt.Sprintf("Secret %s: %s", certificate.secretKey(), certificate.SecretError))
			}
		}
	}
	slices.Sort(unread)
	return slices.Compact(unread)
}
