// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package request

import (
	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	"github.com/google/uuid"
	certificatesv1 "k8s.io/api/certificates/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	selfsigned "github.com/cert-manager/selfsigned-issuer/api/v1alpha1"
)

// placeholder replaces an object in a cache if little more than its name is used. An empty object
// of the original type needs three times the memory. Readers of the cache get a copy of the
// original type. Event handlers and indexes get the placeholder.
type placeholder struct {
	client.Object   // the other fields; shared and immutable
	namespace, name string
	uid             uuid.UUID // zero: not known
}

// secretPlaceholder replaces a Secret. It has a version, so that changes are events. Other
// placeholders have none.
type secretPlaceholder struct {
	placeholder
	version string
}

// The shared objects of placeholders, with the fields that are used.
var (
	finishedRequest = &cmapi.CertificateRequest{
		Spec:   cmapi.CertificateRequestSpec{IssuerRef: cmmeta.IssuerReference{Group: selfsigned.GroupName, Kind: IssuerKind}},
		Status: cmapi.CertificateRequestStatus{Certificate: certificatePlaceholder},
	}
	foreignRequest = &cmapi.CertificateRequest{}

	finishedCSR = &certificatesv1.CertificateSigningRequest{
		Spec:   certificatesv1.CertificateSigningRequestSpec{SignerName: new(selfsigned.ClusterSelfSignedIssuer).GetIssuerTypeIdentifier() + "/any"},
		Status: certificatesv1.CertificateSigningRequestStatus{Certificate: certificatePlaceholder},
	}
	foreignCSR = &certificatesv1.CertificateSigningRequest{}

	anySecret = &metav1.PartialObjectMetadata{}
)

// standFor returns a placeholder for an object, without its UID.
func standFor(shared, object client.Object) *placeholder {
	return &placeholder{Object: shared, namespace: intern(object.GetNamespace()), name: object.GetName()}
}

// standForFinished returns a placeholder with the UID, which unconfirmed needs. The API server's
// UIDs are UUIDs, which need a third of the memory in this form.
func standForFinished(shared, object client.Object) *placeholder {
	p := standFor(shared, object)
	p.uid, _ = uuid.Parse(string(object.GetUID()))
	return p
}

// whole returns the object with the original type.
func whole(object client.Object) client.Object {
	if p, ok := object.(*placeholder); ok {
		return p.Object
	}
	return object
}

// GetNamespace implements metav1.Object.
func (p *placeholder) GetNamespace() string { return p.namespace }

// GetName implements metav1.Object.
func (p *placeholder) GetName() string { return p.name }

// GetUID implements metav1.Object.
func (p *placeholder) GetUID() types.UID {
	if p.uid == uuid.Nil {
		return ""
	}
	return types.UID(p.uid.String())
}

// GetResourceVersion implements metav1.Object.
func (p *placeholder) GetResourceVersion() string { return "" }

// DeepCopyObject implements runtime.Object.
func (p *placeholder) DeepCopyObject() runtime.Object {
	object := p.Object.DeepCopyObject().(client.Object)
	object.SetNamespace(p.namespace)
	object.SetName(p.name)
	object.SetUID(p.GetUID())
	return object
}

// GetResourceVersion implements metav1.Object.
func (p *secretPlaceholder) GetResourceVersion() string { return p.version }

// DeepCopyObject implements runtime.Object.
func (p *secretPlaceholder) DeepCopyObject() runtime.Object {
	object := p.placeholder.DeepCopyObject().(client.Object)
	object.SetResourceVersion(p.version)
	return object
}
