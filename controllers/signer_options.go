// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	selfsigned "github.com/cert-manager/selfsigned-issuer/api/v1alpha1"
	"github.com/cert-manager/selfsigned-issuer/signer"
)

// signerOptions converts the spec of an issuer. The enums have the same values in the signer.
func signerOptions(spec *selfsigned.SelfSignedIssuerSpec) signer.Options {
	options := signer.Options{
		CRLDistributionPoints: spec.CRLDistributionPoints,
		EmptySubject:          signer.EmptySubject(spec.EmptySubject),
		SignatureAlgorithm:    signer.SignatureAlgorithm(spec.SignatureAlgorithm),
		SubjectKeyIdentifier:  signer.KeyIdentifier(spec.SubjectKeyIdentifier),
	}
	if spec.MaxPathLength != nil {
		length := int(*spec.MaxPathLength)
		options.MaxPathLength = &length
	}
	if spec.Backdate != nil {
		options.Backdate = spec.Backdate.Duration
	}
	return options
}
