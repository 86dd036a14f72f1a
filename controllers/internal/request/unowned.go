// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package request

import "time"

// unownedAge is how long a request without an owner is monitored.
const unownedAge = 24 * time.Hour

// LostOwner returns whether cert-manager created the request for a Certificate that does not own
// it, for example after a restore from a backup, which drops owner references. cert-manager finds
// requests by their owner and does not use this one.
func LostOwner(r Request) bool {
	return r.FromCertificate() && len(r.Object().GetOwnerReferences()) == 0
}

// Unattended returns whether a request is left out of alerts, because it is probably not
// needed: only a person deletes a request without an owner.
func Unattended(r Request, now time.Time) bool {
	if len(r.Object().GetOwnerReferences()) > 0 {
		return false
	}
	return LostOwner(r) || now.Sub(r.Object().GetCreationTimestamp().Time) > unownedAge
}
