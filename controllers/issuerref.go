// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	libapi "github.com/cert-manager/issuer-lib/api/v1alpha1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	selfsigned "github.com/cert-manager/selfsigned-issuer/api/v1alpha1"
)

// The kinds of issuer.
const (
	issuerKind        = "SelfSignedIssuer"
	clusterIssuerKind = "ClusterSelfSignedIssuer"
)

// issuerRef is a reference to an issuer.
type issuerRef struct {
	kind string
	key  types.NamespacedName // Namespace is empty for the cluster kind
}

// newObject returns an empty issuer of this kind. issuer-lib requires that its kind is set.
func (r issuerRef) newObject() libapi.Issuer {
	if r.kind == clusterIssuerKind {
		issuer := &selfsigned.ClusterSelfSignedIssuer{}
		issuer.SetGroupVersionKind(selfsigned.GroupVersion.WithKind(clusterIssuerKind))
		return issuer
	}
	issuer := &selfsigned.SelfSignedIssuer{}
	issuer.SetGroupVersionKind(selfsigned.GroupVersion.WithKind(issuerKind))
	return issuer
}

// newList returns an empty list of this kind.
func (r issuerRef) newList() client.ObjectList {
	if r.kind == clusterIssuerKind {
		return &selfsigned.ClusterSelfSignedIssuerList{}
	}
	return &selfsigned.SelfSignedIssuerList{}
}

// String is the issuer in messages, and its key in an index.
func (r issuerRef) String() string {
	if r.key.Namespace == "" {
		return r.kind + " " + r.key.Name
	}
	return r.kind + " " + r.key.String()
}

// refOf returns the reference to an issuer.
func refOf(issuer libapi.Issuer) issuerRef {
	kind := issuerKind
	if _, cluster := issuer.(*selfsigned.ClusterSelfSignedIssuer); cluster {
		kind = clusterIssuerKind
	}
	return issuerRef{kind, client.ObjectKeyFromObject(issuer)}
}

// specOf returns the spec, which has the same type for both kinds of issuer.
func specOf(issuer libapi.Issuer) *selfsigned.SelfSignedIssuerSpec {
	if cluster, ok := issuer.(*selfsigned.ClusterSelfSignedIssuer); ok {
		return &cluster.Spec
	}
	return &issuer.(*selfsigned.SelfSignedIssuer).Spec
}
