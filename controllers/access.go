// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"

	experimental "github.com/cert-manager/cert-manager/pkg/apis/experimental/v1alpha1"
	"github.com/cert-manager/cert-manager/pkg/util/pki"
	authorizationv1 "k8s.io/api/authorization/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	selfsigned "github.com/cert-manager/selfsigned-issuer/api/v1alpha1"
)

// minimumDuration is the minimum duration of a Kubernetes CSR.
// Source: cert-manager, "Kubernetes CertificateSigningRequests".
const minimumDuration = experimental.CertificateSigningRequestMinimumDuration

// accessReviewer has the checks that are only for Kubernetes CSRs. Because a CSR has no
// namespace, its author needs permission to use an issuer in one.
type accessReviewer struct {
	client client.Client
}

func (a accessReviewer) preflight(ctx context.Context, r request) *decision {
	csr := r.(certificateSigningRequest).csr
	ref, _ := r.issuer()
	// First the permission: without it, the author gets no information about the issuer.
	if v := a.reviewReference(ctx, csr, ref); v != nil {
		return v
	}
	return checkDuration(csr)
}

// reviewReference checks whether the author of the CSR is allowed to "reference" the namespaced
// issuer, by its name or for all names. The API group is ours, so that permissions for an in-tree
// issuer with the same name do not count.
func (a accessReviewer) reviewReference(ctx context.Context, csr *certificatesv1.CertificateSigningRequest, ref issuerRef) *decision {
	if ref.kind != issuerKind {
		return nil
	}
	for _, name := range []string{ref.key.Name, "*"} {
		review := accessReview(csr, ref.key.Namespace, name)
		if err := a.client.Create(ctx, review); err != nil {
			return &decision{reason: ReasonReferenceReviewError, detail: stableErrorText(err), err: err}
		}
		if review.Status.Allowed {
			return nil
		}
	}
	return &decision{reason: ReasonReferenceDenied}
}

func accessReview(csr *certificatesv1.CertificateSigningRequest, namespace, name string) *authorizationv1.SubjectAccessReview {
	extra := make(map[string]authorizationv1.ExtraValue, len(csr.Spec.Extra))
	for key, value := range csr.Spec.Extra {
		extra[key] = authorizationv1.ExtraValue(value)
	}
	return &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User:   csr.Spec.Username,
		Groups: csr.Spec.Groups,
		UID:    csr.Spec.UID,
		Extra:  extra,
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Group:     selfsigned.GroupName,
			Version:   "*",
			Resource:  "signers",
			Verb:      "reference",
			Namespace: namespace,
			Name:      name,
		},
	}}
}

// checkDuration applies the minimum that Kubernetes requires for spec.expirationSeconds also to
// the annotation.
func checkDuration(csr *certificatesv1.CertificateSigningRequest) *decision {
	duration, err := pki.DurationFromCertificateSigningRequest(csr)
	if err != nil {
		return &decision{reason: ReasonInvalidDuration, detail: err.Error()}
	}
	if duration < minimumDuration {
		return &decision{reason: ReasonInvalidDuration, detail: fmt.Sprintf("%s is too short", duration)}
	}
	return nil
}

// userOf returns the author of a Kubernetes CSR; empty for other requests.
func userOf(r request) string {
	if csr, ok := r.(certificateSigningRequest); ok {
		return csr.csr.Spec.Username
	}
	return ""
}
