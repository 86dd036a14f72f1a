// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// unownedAge is how long a request that was made by hand counts among those that somebody
// waits for.
const unownedAge = 24 * time.Hour

// lostOwner reports whether cert-manager made a request for a Certificate that does not own it
// any more, as after a restore from a backup, which drops owner references. cert-manager finds
// the requests of a Certificate by their owner, so that nobody waits for this one.
func lostOwner(object client.Object) bool {
	return isForCertificate(object) && len(object.GetOwnerReferences()) == 0
}

// isForCertificate relies on the annotation that cert-manager sets: the owner reference is lost
// when a backup is restored.
func isForCertificate(object client.Object) bool {
	return object.GetAnnotations()[cmapi.CertificateNameKey] != ""
}

// unattended reports whether nobody waits for a request, as far as can be known: no alert is
// about it. Nothing deletes a request without an owner but a person.
func unattended(object client.Object, now time.Time) bool {
	if len(object.GetOwnerReferences()) > 0 {
		return false
	}
	return lostOwner(object) || now.Sub(object.GetCreationTimestamp().Time) > unownedAge
}
