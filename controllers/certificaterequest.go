// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

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
)

// certificateRequests is cert-manager's kind of request.
func certificateRequests() requestKind {
	return requestKind{
		name:      cmapi.CertificateRequestKind,
		reference: "the issuerRef of the Certificate",
		newObject: func() client.Object { return &cmapi.CertificateRequest{} },
		newList:   func() client.ObjectList { return &cmapi.CertificateRequestList{} },
		wrap:      func(o client.Object) request { return certificateRequest{whole(o).(*cmapi.CertificateRequest)} },
	}
}

type certificateRequest struct{ cr *cmapi.CertificateRequest }

func (r certificateRequest) object() client.Object { return r.cr }

func (r certificateRequest) details() libsigner.CertificateRequestObject {
	return libsigner.CertificateRequestObjectFromCertificateRequest(r.cr)
}

func (r certificateRequest) approved() bool {
	return cmutil.CertificateRequestIsApproved(r.cr) && !r.denied()
}

func (r certificateRequest) denied() bool { return cmutil.CertificateRequestIsDenied(r.cr) }

func (r certificateRequest) denialRecorded() bool {
	return cmutil.CertificateRequestReadyReason(r.cr) == cmapi.CertificateRequestReasonDenied
}

func (r certificateRequest) waitingSince() time.Time {
	approved := cmutil.GetCertificateRequestCondition(r.cr, cmapi.CertificateRequestConditionApproved)
	if approved == nil || approved.LastTransitionTime == nil {
		return r.cr.CreationTimestamp.Time
	}
	return approved.LastTransitionTime.Time
}

// finished includes a request with a certificate and no condition, and one with cert-manager's
// condition InvalidRequest.
func (r certificateRequest) finished() bool {
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

func (r certificateRequest) end() string {
	return cmp.Or(string(r.cr.Status.Certificate), r.readyMessage())
}

func (r certificateRequest) readyMessage() string {
	if ready := r.ready(); ready != nil {
		return ready.Message
	}
	return ""
}

func (r certificateRequest) ready() *cmapi.CertificateRequestCondition {
	return cmutil.GetCertificateRequestCondition(r.cr, cmapi.CertificateRequestConditionReady)
}

func (r certificateRequest) fromCertificate() bool { return isForCertificate(r.cr) }

func (r certificateRequest) partial() bool { return waiting(r) && len(r.cr.Spec.Request) == 0 }

func (r certificateRequest) complete(whole client.Object) {
	r.cr.Spec = whole.(*cmapi.CertificateRequest).Spec
}

// issuer does not accept an empty kind: cert-manager reads it as "Issuer" and does not approve
// the request.
func (r certificateRequest) issuer() (issuerRef, bool) {
	ref := r.cr.Spec.IssuerRef
	if ref.Group != selfsigned.GroupName {
		return issuerRef{}, false
	}
	switch ref.Kind {
	case issuerKind:
		return issuerRef{ref.Kind, types.NamespacedName{Namespace: r.cr.Namespace, Name: ref.Name}}, true
	case clusterIssuerKind:
		return issuerRef{ref.Kind, types.NamespacedName{Name: ref.Name}}, true
	default:
		return issuerRef{}, false
	}
}

func (r certificateRequest) keyAnnotation() string {
	return cmapi.CertificateRequestPrivateKeyAnnotationKey
}

// keySecret is always in the namespace of the request, also for a cluster issuer: a request must
// not use Secrets of another namespace.
func (r certificateRequest) keySecret() types.NamespacedName {
	return types.NamespacedName{Namespace: r.cr.Namespace, Name: r.cr.Annotations[r.keyAnnotation()]}
}

func (r certificateRequest) status(v *decision, now metav1.Time) (any, bool) {
	ready := readyCondition(v, now)
	old := r.ready()
	if old != nil && old.Status == ready.Status && old.Reason == ready.Reason && old.Message == ready.Message {
		return nil, false
	}
	if old != nil && old.Status == ready.Status {
		ready.LastTransitionTime = old.LastTransitionTime
	}
	status := cmapi.CertificateRequestStatus{Conditions: []cmapi.CertificateRequestCondition{ready}}
	switch v.state() {
	case issued:
		// A self-signed certificate is its own CA. cert-manager copies it to the Secret as ca.crt.
		status.Certificate, status.CA = v.certificate.PEM, v.certificate.PEM
	case failed, denied:
		status.FailureTime = &now
	case pending:
	}
	return status, true
}

func readyCondition(v *decision, now metav1.Time) cmapi.CertificateRequestCondition {
	condition := cmapi.CertificateRequestCondition{
		Type:               cmapi.CertificateRequestConditionReady,
		Status:             cmmeta.ConditionFalse,
		Message:            v.message,
		LastTransitionTime: &now,
	}
	switch v.state() {
	case issued:
		condition.Status, condition.Reason = cmmeta.ConditionTrue, cmapi.CertificateRequestReasonIssued
	case failed:
		condition.Reason = cmapi.CertificateRequestReasonFailed
	case denied:
		condition.Reason = cmapi.CertificateRequestReasonDenied
	case pending:
		condition.Reason = cmapi.CertificateRequestReasonPending
	}
	return condition
}
