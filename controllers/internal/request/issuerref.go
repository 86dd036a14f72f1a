// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package request

import (
	libapi "github.com/cert-manager/issuer-lib/api/v1alpha1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	selfsigned "github.com/cert-manager/selfsigned-issuer/api/v1alpha1"
)

// The kinds of issuer.
const (
	IssuerKind        = "SelfSignedIssuer"
	ClusterIssuerKind = "ClusterSelfSignedIssuer"
)

// IssuerRef is a reference to an issuer.
type IssuerRef struct {
	Kind string
	Key  types.NamespacedName // Namespace is empty for the cluster kind
}

// NewObject returns an empty issuer of this kind. issuer-lib requires that its kind is set.
func (r IssuerRef) NewObject() libapi.Issuer {
	if r.Kind == ClusterIssuerKind {
		issuer := &selfsigned.ClusterSelfSignedIssuer{}
		issuer.SetGroupVersionKind(selfsigned.GroupVersion.WithKind(ClusterIssuerKind))
		return issuer
	}
	issuer := &selfsigned.SelfSignedIssuer{}
	issuer.SetGroupVersionKind(selfsigned.GroupVersion.WithKind(IssuerKind))
	return issuer
}

// NewList returns an empty list of this kind.
func (r IssuerRef) NewList() client.ObjectList {
	if r.Kind == ClusterIssuerKind {
		return &selfsigned.ClusterSelfSignedIssuerList{}
	}
	return &selfsigned.SelfSignedIssuerList{}
}

// String is the issuer in messages, and its key in an index.
func (r IssuerRef) String() string {
	if r.Key.Namespace == "" {
		return r.Kind + " " + r.Key.Name
	}
	return r.Kind + " " + r.Key.String()
}

// RefOf returns the reference to an issuer.
func RefOf(issuer libapi.Issuer) IssuerRef {
	kind := IssuerKind
	if _, cluster := issuer.(*selfsigned.ClusterSelfSignedIssuer); cluster {
		kind = ClusterIssuerKind
	}
	return IssuerRef{kind, client.ObjectKeyFromObject(issuer)}
}

// SpecOf returns the spec, which has the same type for both kinds of issuer.
func SpecOf(issuer libapi.Issuer) *selfsigned.SelfSignedIssuerSpec {
	if cluster, ok := issuer.(*selfsigned.ClusterSelfSignedIssuer); ok {
		return &cluster.Spec
	}
	return &issuer.(*selfsigned.SelfSignedIssuer).Spec
}

// StatusOf returns the status, which has the same type for both kinds of issuer.
func StatusOf(issuer libapi.Issuer) *selfsigned.SelfSignedIssuerStatus {
	if cluster, ok := issuer.(*selfsigned.ClusterSelfSignedIssuer); ok {
		return &cluster.Status
	}
	return &issuer.(*selfsigned.SelfSignedIssuer).Status
}

// ReadyCondition returns the Ready condition of an issuer, or nil.
func ReadyCondition(issuer libapi.Issuer) *metav1.Condition {
	return apimeta.FindStatusCondition(issuer.GetConditions(), libapi.IssuerConditionTypeReady)
}
