// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"time"

	libsigner "github.com/cert-manager/issuer-lib/controllers/signer"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// requestKind is what differs between the two kinds of request that are signed.
type requestKind struct {
	name      string // the kind, as users write it
	reference string // where the request names its issuer
	newObject func() client.Object
	newList   func() client.ObjectList
	wrap      func(client.Object) request
	preflight func(context.Context, request) *decision // nil where there is nothing more to check
}

// request is one CertificateRequest or Kubernetes CSR, read-only.
type request interface {
	object() client.Object
	details() libsigner.CertificateRequestObject

	approved() bool // and not denied as well
	denied() bool
	finished() bool // nothing is ever written to it again
	denialRecorded() bool

	// hint returns what its user should know although the request is not processed; nil if
	// there is nothing.
	hint() *hint

	// waitingSince is when the request was approved, or made when nobody has approved it or
	// said when.
	waitingSince() time.Time

	// said is what the object says of its wait; empty when it says nothing or has no place.
	readyMessage() string

	// fromCertificate is true if cert-manager made the request for a Certificate.
	fromCertificate() bool

	// partial is true when the cache has left out the spec because of its size; complete takes
	// the spec from the whole object.
	partial() bool
	complete(whole client.Object)

	// issuer returns which issuer is asked for, and false when it is not one of ours.
	issuer() (issuerRef, bool)
	// keyAnnotation is the annotation that names the Secret with the private key.
	keyAnnotation() string
	// keySecret names that Secret; its Name is empty when the annotation is.
	keySecret() types.NamespacedName

	// end is what stands in a finished request: its certificate, or else the message that says
	// why there is none.
	end() string

	// status returns the status that says v, and false when the object says it already or
	// has no place for it.
	status(v *decision, now metav1.Time) (any, bool)
}

// waiting is a request that a change elsewhere may bring further.
func waiting(r request) bool { return r.approved() && !r.finished() }
