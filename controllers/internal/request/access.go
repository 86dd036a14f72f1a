// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package request

import (
	"context"
	"fmt"

	experimental "github.com/cert-manager/cert-manager/pkg/apis/experimental/v1alpha1"
	"github.com/cert-manager/cert-manager/pkg/util/pki"
	authorizationv1 "k8s.io/api/authorization/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	selfsigned "github.com/cert-manager/selfsigned-issuer/api/v1alpha1"
	"github.com/cert-manager/selfsigned-issuer/controllers/internal/outcome"
)

// MinimumDuration is the minimum duration of a Kubernetes CSR.
// Source: cert-manager, "Kubernetes CertificateSigningRequests".
const MinimumDuration = experimental.CertificateSigningRequestMinimumDuration

// AccessReviewer has the checks that are only for Kubernetes CSRs. Because a CSR has no
// namespace, its author needs permission to use an issuer in one.
type AccessReviewer struct {
	Client client.Client
}

func (a AccessReviewer) preflight(ctx context.Context, r Request) *outcome.Decision {
	csr := r.(certificateSigningRequest).csr
	ref, _ := r.Issuer()
	// First the permission: without it, the author gets no information about the issuer.
	if d := a.reviewReference(ctx, csr, ref); d != nil {
		return d
	}
	return checkDuration(csr)
}

// reviewReference checks whether the author of the CSR is allowed to "reference" the namespaced
// issuer, by its name or for all names. The API group is ours, so that permissions for an in-tree
// issuer with the same name do not count.
func (a AccessReviewer) reviewReference(ctx context.Context, csr *certificatesv1.CertificateSigningRequest, ref IssuerRef) *outcome.Decision {
	if ref.Kind != IssuerKind {
		return nil
	}
	for _, name := range []string{ref.Key.Name, "*"} {
		review := accessReview(csr, ref.Key.Namespace, name)
		if err := a.Client.Create(ctx, review); err != nil {
			return &outcome.Decision{Reason: outcome.ReasonReferenceReviewError, Detail: outcome.ErrorText(err), Err: err}
		}
		if review.Status.Allowed {
			return nil
		}
	}
	return &outcome.Decision{Reason: outcome.ReasonReferenceDenied}
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
func checkDuration(csr *certificatesv1.CertificateSigningRequest) *outcome.Decision {
	duration, err := pki.DurationFromCertificateSigningRequest(csr)
	if err != nil {
		return &outcome.Decision{Reason: outcome.ReasonInvalidDuration, Detail: err.Error()}
	}
	if duration < MinimumDuration {
		return &outcome.Decision{Reason: outcome.ReasonInvalidDuration, Detail: fmt.Sprintf("%s is too short", duration)}
	}
	return nil
}
