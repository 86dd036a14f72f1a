// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// unownedAge is how long a request without an owner is monitored.
const unownedAge = 24 * time.Hour

// lostOwner returns whether cert-manager created the request for a Certificate that does not own
// it, for example after a restore from a backup, which drops owner references. cert-manager finds
// requests by their owner and does not use this one.
func lostOwner(object client.Object) bool {
	return isForCertificate(object) && len(object.GetOwnerReferences()) == 0
}

// isForCertificate checks the annotation that cert-manager sets, which a restore keeps.
func isForCertificate(object client.Object) bool {
	return object.GetAnnotations()[cmapi.CertificateNameKey] != ""
}

// unattended returns whether a request is left out of alerts, because it is probably not
// needed: only a person deletes a request without an owner.
func unattended(object client.Object, now time.Time) bool {
	if len(object.GetOwnerReferences()) > 0 {
		return false
	}
	return lostOwner(object) || now.Sub(object.GetCreationTimestamp().Time) > unownedAge
}
