// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package request

import (
	"cmp"
	"time"

	cmutil "github.com/cert-manager/cert-manager/pkg/api/util"
	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	libsigner "github.com/cert-manager/issuer-lib/controllers/signer"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	selfsigned "github.com/cert-manager/selfsigned-issuer/api/v1alpha1"
	"github.com/cert-manager/selfsigned-issuer/controllers/internal/outcome"
)

// CertificateRequests is cert-manager's kind of request.
func CertificateRequests() Kind {
	return Kind{
		Name:      cmapi.CertificateRequestKind,
		Reference: "the issuerRef of the Certificate",
		NewObject: func() client.Object { return &cmapi.CertificateRequest{} },
		NewList:   func() client.ObjectList { return &cmapi.CertificateRequestList{} },
		Wrap:      func(o client.Object) Request { return certificateRequest{whole(o).(*cmapi.CertificateRequest)} },

		Transform:    transformOf(stripCertificateRequest),
		HasCondition: true,
	}
}

type certificateRequest struct{ cr *cmapi.CertificateRequest }

func (r certificateRequest) Object() client.Object { return r.cr }

func (r certificateRequest) Details() libsigner.CertificateRequestObject {
	return libsigner.CertificateRequestObjectFromCertificateRequest(r.cr)
}

func (r certificateRequest) Approved() bool {
	return cmutil.CertificateRequestIsApproved(r.cr) && !r.Denied()
}

func (r certificateRequest) Denied() bool { return cmutil.CertificateRequestIsDenied(r.cr) }

func (r certificateRequest) DenialRecorded() bool {
	return cmutil.CertificateRequestReadyReason(r.cr) == cmapi.CertificateRequestReasonDenied
}

func (r certificateRequest) WaitingSince() time.Time {
	approved := cmutil.GetCertificateRequestCondition(r.cr, cmapi.CertificateRequestConditionApproved)
	if approved == nil || approved.LastTransitionTime == nil {
		return r.cr.CreationTimestamp.Time
	}
	return approved.LastTransitionTime.Time
}

// Finished includes a request with a certificate and no condition, and one with cert-manager's
// condition InvalidRequest.
func (r certificateRequest) Finished() bool {
	if len(r.cr.Status.Certificate) > 0 || cmutil.CertificateRequestHasInvalidRequest(r.cr) {
		return true
	}
	switch ready := r.ready(); {
	case ready == nil:
		return false
	case ready.Status == cmmeta.ConditionTrue:
		return true
	default:
		return ready.Reason == cmapi.CertificateRequestReasonFailed || ready.Reason == cmapi.CertificateRequestReasonDenied
	}
}

func (r certificateRequest) User() string { return "" }

func (r certificateRequest) End() string {
	return cmp.Or(string(r.cr.Status.Certificate), r.ReadyMessage())
}

func (r certificateRequest) ReadyMessage() string {
	if ready := r.ready(); ready != nil {
		return ready.Message
	}
	return ""
}

func (r certificateRequest) ready() *cmapi.CertificateRequestCondition {
	return cmutil.GetCertificateRequestCondition(r.cr, cmapi.CertificateRequestConditionReady)
}

// FromCertificate checks the annotation that cert-manager sets, which a restore keeps.
func (r certificateRequest) FromCertificate() bool {
	return r.cr.Annotations[cmapi.CertificateNameKey] != ""
}

func (r certificateRequest) Partial() bool { return IsPending(r) && len(r.cr.Spec.Request) == 0 }

func (r certificateRequest) Complete(whole client.Object) {
	r.cr.Spec = whole.(*cmapi.CertificateRequest).Spec
}

// Issuer does not accept an empty kind: cert-manager reads it as "Issuer" and does not approve
// the request.
func (r certificateRequest) Issuer() (IssuerRef, bool) {
	ref := r.cr.Spec.IssuerRef
	if ref.Group != selfsigned.GroupName {
		return IssuerRef{}, false
	}
	switch ref.Kind {
	case IssuerKind:
		return IssuerRef{ref.Kind, types.NamespacedName{Namespace: r.cr.Namespace, Name: ref.Name}}, true
	case ClusterIssuerKind:
		return IssuerRef{ref.Kind, types.NamespacedName{Name: ref.Name}}, true
	default:
		return IssuerRef{}, false
	}
}

func (r certificateRequest) KeyAnnotation() string {
	return cmapi.CertificateRequestPrivateKeyAnnotationKey
}

// KeySecret is always in the namespace of the request, also for a cluster issuer: a request must
// not use Secrets of another namespace.
func (r certificateRequest) KeySecret() types.NamespacedName {
	return types.NamespacedName{Namespace: r.cr.Namespace, Name: r.cr.Annotations[r.KeyAnnotation()]}
}

func (r certificateRequest) Status(d *outcome.Decision, now metav1.Time) (any, bool) {
	ready := readyCondition(d, now)
	old := r.ready()
	if old != nil && old.Status == ready.Status && old.Reason == ready.Reason && old.Message == ready.Message {
		return nil, false
	}
	if old != nil && old.Status == ready.Status {
		ready.LastTransitionTime = old.LastTransitionTime
	}
	status := cmapi.CertificateRequestStatus{Conditions: []cmapi.CertificateRequestCondition{ready}}
	switch d.State() {
	case outcome.Issued:
		// A self-signed certificate is its own CA. cert-manager copies it to the Secret as ca.crt.
		status.Certificate, status.CA = d.Certificate.PEM, d.Certificate.PEM
	case outcome.Failed, outcome.Denied:
		status.FailureTime = &now
	case outcome.Pending:
	}
	return status, true
}

func readyCondition(d *outcome.Decision, now metav1.Time) cmapi.CertificateRequestCondition {
	condition := cmapi.CertificateRequestCondition{
		Type:               cmapi.CertificateRequestConditionReady,
		Status:             cmmeta.ConditionFalse,
		Message:            d.Message,
		LastTransitionTime: &now,
	}
	switch d.State() {
	case outcome.Issued:
		condition.Status, condition.Reason = cmmeta.ConditionTrue, cmapi.CertificateRequestReasonIssued
	case outcome.Failed:
		condition.Reason = cmapi.CertificateRequestReasonFailed
	case outcome.Denied:
		condition.Reason = cmapi.CertificateRequestReasonDenied
	case outcome.Pending:
		condition.Reason = cmapi.CertificateRequestReasonPending
	}
	return condition
}

// Hint implements request.
func (r certificateRequest) Hint() *outcome.Hint {
	if ref, ours := r.Issuer(); ours {
		return outcome.ApprovalHint.Unless(r.Approved(), outcome.Args{"signer": ref.NewObject().GetIssuerTypeIdentifier()})
	}
	ref := r.cr.Spec.IssuerRef
	return outcome.KindHint.Unless(ref.Group != selfsigned.GroupName, outcome.Args{"kind": ref.Kind})
}
