// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

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
)

// certificateSigningRequests is Kubernetes' kind of request. The Secrets of requests for a
// cluster issuer are in the namespace clusterResources.
func certificateSigningRequests(clusterResources string, review accessReviewer) requestKind {
	return requestKind{
		name:      "CertificateSigningRequest",
		reference: "spec.signerName",
		newObject: func() client.Object { return &certificatesv1.CertificateSigningRequest{} },
		newList:   func() client.ObjectList { return &certificatesv1.CertificateSigningRequestList{} },
		wrap: func(o client.Object) request {
			return certificateSigningRequest{whole(o).(*certificatesv1.CertificateSigningRequest), clusterResources}
		},
		preflight: review.preflight,
	}
}

type certificateSigningRequest struct {
	csr              *certificatesv1.CertificateSigningRequest
	clusterResources string
}

func (r certificateSigningRequest) object() client.Object { return r.csr }

func (r certificateSigningRequest) details() libsigner.CertificateRequestObject {
	return libsigner.CertificateRequestObjectFromCertificateSigningRequest(r.csr)
}

func (r certificateSigningRequest) approved() bool {
	return csrutil.CertificateSigningRequestIsApproved(r.csr) && !r.denied()
}

func (r certificateSigningRequest) denied() bool {
	return csrutil.CertificateSigningRequestIsDenied(r.csr)
}

func (r certificateSigningRequest) waitingSince() time.Time {
	for _, condition := range r.csr.Status.Conditions {
		if condition.Type == certificatesv1.CertificateApproved && !condition.LastTransitionTime.IsZero() {
			return condition.LastTransitionTime.Time
		}
	}
	return r.csr.CreationTimestamp.Time
}

// denialRecorded is true: the condition Denied of a Kubernetes CSR is final.
func (r certificateSigningRequest) denialRecorded() bool { return r.denied() }

func (r certificateSigningRequest) finished() bool {
	return len(r.csr.Status.Certificate) > 0 || csrutil.CertificateSigningRequestIsFailed(r.csr) || r.denied()
}

func (r certificateSigningRequest) end() string {
	end := string(r.csr.Status.Certificate)
	for _, condition := range r.csr.Status.Conditions {
		if condition.Type == certificatesv1.CertificateFailed {
			end = cmp.Or(end, condition.Message)
		}
	}
	return end
}

func (r certificateSigningRequest) readyMessage() string { return "" }

func (r certificateSigningRequest) fromCertificate() bool { return false }

func (r certificateSigningRequest) partial() bool {
	return waiting(r) && len(r.csr.Spec.Request) == 0
}

// complete also copies the annotations, which can have the duration.
func (r certificateSigningRequest) complete(whole client.Object) {
	r.csr.Spec = whole.(*certificatesv1.CertificateSigningRequest).Spec
	r.csr.Annotations = whole.GetAnnotations()
}

// issuer parses the signer name like cert-manager: "<plural>.<group>/<name>" for the cluster
// kind, "<plural>.<group>/<namespace>.<name>" for the namespaced kind. A namespace has no dots,
// a name can have some.
func (r certificateSigningRequest) issuer() (issuerRef, bool) {
	kind, id, _ := strings.Cut(r.csr.Spec.SignerName, "/")
	switch kind {
	case (&selfsigned.ClusterSelfSignedIssuer{}).GetIssuerTypeIdentifier():
		return issuerRef{clusterIssuerKind, types.NamespacedName{Name: id}}, id != ""
	case (&selfsigned.SelfSignedIssuer{}).GetIssuerTypeIdentifier():
		namespace, name, _ := strings.Cut(id, ".")
		return issuerRef{issuerKind, types.NamespacedName{Namespace: namespace, Name: name}}, namespace != "" && name != ""
	default:
		return issuerRef{}, false
	}
}

func (r certificateSigningRequest) keyAnnotation() string {
	return experimental.CertificateSigningRequestPrivateKeyAnnotationKey
}

func (r certificateSigningRequest) keySecret() types.NamespacedName {
	namespace := r.clusterResources
	if ref, ok := r.issuer(); ok && ref.kind == issuerKind {
		namespace = ref.key.Namespace
	}
	return types.NamespacedName{Namespace: namespace, Name: r.csr.Annotations[r.keyAnnotation()]}
}

// status is only written when the request is finished: a Kubernetes CSR has no condition for
// pending requests.
func (r certificateSigningRequest) status(v *decision, now metav1.Time) (any, bool) {
	switch v.state() {
	case issued:
		return certificatesv1.CertificateSigningRequestStatus{Certificate: v.certificate.PEM}, true
	case failed:
		return certificatesv1.CertificateSigningRequestStatus{
			Conditions: []certificatesv1.CertificateSigningRequestCondition{{
				Type:               certificatesv1.CertificateFailed,
				Status:             corev1.ConditionTrue,
				Reason:             string(v.reason),
				Message:            v.message,
				LastTransitionTime: now,
				LastUpdateTime:     now,
			}},
		}, true
	default:
		return nil, false
	}
}
