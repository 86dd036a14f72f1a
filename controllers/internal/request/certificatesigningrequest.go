// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package request

import (
	"cmp"
	"strings"
	"time"

	experimental "github.com/cert-manager/cert-manager/pkg/apis/experimental/v1alpha1"
	csrutil "github.com/cert-manager/cert-manager/pkg/controller/certificatesigningrequests/util"
	libsigner "github.com/cert-manager/issuer-lib/controllers/signer"
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	selfsigned "github.com/cert-manager/selfsigned-issuer/api/v1alpha1"
	"github.com/cert-manager/selfsigned-issuer/controllers/internal/outcome"
)

// CertificateSigningRequests is Kubernetes' kind of request. The Secrets of requests for a
// cluster issuer are in the namespace clusterResources.
func CertificateSigningRequests(clusterResources string, review AccessReviewer) Kind {
	return Kind{
		Name:      "CertificateSigningRequest",
		Reference: "spec.signerName",
		NewObject: func() client.Object { return &certificatesv1.CertificateSigningRequest{} },
		NewList:   func() client.ObjectList { return &certificatesv1.CertificateSigningRequestList{} },
		Wrap: func(o client.Object) Request {
			return certificateSigningRequest{whole(o).(*certificatesv1.CertificateSigningRequest), clusterResources}
		},
		Preflight: review.preflight,
		Transform: transformOf(stripCertificateSigningRequest),
	}
}

type certificateSigningRequest struct {
	csr              *certificatesv1.CertificateSigningRequest
	clusterResources string
}

func (r certificateSigningRequest) Object() client.Object { return r.csr }

func (r certificateSigningRequest) Details() libsigner.CertificateRequestObject {
	return libsigner.CertificateRequestObjectFromCertificateSigningRequest(r.csr)
}

func (r certificateSigningRequest) Approved() bool {
	return csrutil.CertificateSigningRequestIsApproved(r.csr) && !r.Denied()
}

func (r certificateSigningRequest) Denied() bool {
	return csrutil.CertificateSigningRequestIsDenied(r.csr)
}

func (r certificateSigningRequest) WaitingSince() time.Time {
	for _, condition := range r.csr.Status.Conditions {
		if condition.Type == certificatesv1.CertificateApproved && !condition.LastTransitionTime.IsZero() {
			return condition.LastTransitionTime.Time
		}
	}
	return r.csr.CreationTimestamp.Time
}

// DenialRecorded is true: the condition Denied of a Kubernetes CSR is final.
func (r certificateSigningRequest) DenialRecorded() bool { return r.Denied() }

func (r certificateSigningRequest) Finished() bool {
	return len(r.csr.Status.Certificate) > 0 || csrutil.CertificateSigningRequestIsFailed(r.csr) || r.Denied()
}

func (r certificateSigningRequest) User() string { return r.csr.Spec.Username }

func (r certificateSigningRequest) End() string {
	end := string(r.csr.Status.Certificate)
	for _, condition := range r.csr.Status.Conditions {
		if condition.Type == certificatesv1.CertificateFailed {
			end = cmp.Or(end, condition.Message)
		}
	}
	return end
}

func (r certificateSigningRequest) ReadyMessage() string { return "" }

func (r certificateSigningRequest) FromCertificate() bool { return false }

func (r certificateSigningRequest) Partial() bool {
	return IsPending(r) && len(r.csr.Spec.Request) == 0
}

// Complete also copies the annotations, which can have the duration.
func (r certificateSigningRequest) Complete(whole client.Object) {
	r.csr.Spec = whole.(*certificatesv1.CertificateSigningRequest).Spec
	r.csr.Annotations = whole.GetAnnotations()
}

// Issuer parses the signer name like cert-manager: "<plural>.<group>/<name>" for the cluster
// kind, "<plural>.<group>/<namespace>.<name>" for the namespaced kind. A namespace has no dots,
// a name can have some.
func (r certificateSigningRequest) Issuer() (IssuerRef, bool) {
	kind, id, _ := strings.Cut(r.csr.Spec.SignerName, "/")
	switch kind {
	case (&selfsigned.ClusterSelfSignedIssuer{}).GetIssuerTypeIdentifier():
		return IssuerRef{ClusterIssuerKind, types.NamespacedName{Name: id}}, id != ""
	case (&selfsigned.SelfSignedIssuer{}).GetIssuerTypeIdentifier():
		namespace, name, _ := strings.Cut(id, ".")
		return IssuerRef{IssuerKind, types.NamespacedName{Namespace: namespace, Name: name}}, namespace != "" && name != ""
	default:
		return IssuerRef{}, false
	}
}

func (r certificateSigningRequest) KeyAnnotation() string {
	return experimental.CertificateSigningRequestPrivateKeyAnnotationKey
}

func (r certificateSigningRequest) KeySecret() types.NamespacedName {
	namespace := r.clusterResources
	if ref, ok := r.Issuer(); ok && ref.Kind == IssuerKind {
		namespace = ref.Key.Namespace
	}
	return types.NamespacedName{Namespace: namespace, Name: r.csr.Annotations[r.KeyAnnotation()]}
}

// Status is only written when the request is finished: a Kubernetes CSR has no condition for
// pending requests.
func (r certificateSigningRequest) Status(d *outcome.Decision, now metav1.Time) (any, bool) {
	switch d.State() {
	case outcome.Issued:
		return certificatesv1.CertificateSigningRequestStatus{Certificate: d.Certificate.PEM}, true
	case outcome.Failed:
		return certificatesv1.CertificateSigningRequestStatus{
			Conditions: []certificatesv1.CertificateSigningRequestCondition{{
				Type:               certificatesv1.CertificateFailed,
				Status:             corev1.ConditionTrue,
				Reason:             string(d.Reason),
				Message:            d.Message,
				LastTransitionTime: now,
				LastUpdateTime:     now,
			}},
		}, true
	default:
		return nil, false
	}
}

// Hint implements request. All signer names below our group are checked.
func (r certificateSigningRequest) Hint() *outcome.Hint {
	if _, ours := r.Issuer(); ours {
		return outcome.CSRApprovalHint.Unless(r.Approved(), outcome.Args{})
	}
	domain, _, _ := strings.Cut(r.csr.Spec.SignerName, "/")
	return outcome.SignerNameHint.Unless(!strings.HasSuffix(domain, "."+selfsigned.GroupName), outcome.Args{"signer": r.csr.Spec.SignerName})
}
