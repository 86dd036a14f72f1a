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

// requestKind is one of the two kinds of request.
type requestKind struct {
	name      string
	reference string // the field with the issuer, for messages
	newObject func() client.Object
	newList   func() client.ObjectList
	wrap      func(client.Object) request
	preflight func(context.Context, request) *decision // can be nil
}

// request is one CertificateRequest or Kubernetes CSR, read-only.
type request interface {
	object() client.Object
	details() libsigner.CertificateRequestObject

	approved() bool // and not denied
	denied() bool
	finished() bool // it is never written again
	denialRecorded() bool

	// hint returns the hint for a request that is not processed, or nil.
	hint() *hint

	// waitingSince is the time of the approval, or else of the creation.
	waitingSince() time.Time

	// readyMessage is the message of the Ready condition; empty without one.
	readyMessage() string

	// fromCertificate is true if cert-manager created the request for a Certificate.
	fromCertificate() bool

	// partial is true if the cache omits the spec because of its size. complete copies the spec
	// from the whole object.
	partial() bool
	complete(whole client.Object)

	// issuer returns the referenced issuer, and false if it is not one of ours.
	issuer() (issuerRef, bool)
	// keyAnnotation is the annotation that names the Secret with the private key.
	keyAnnotation() string
	// keySecret is this Secret. Its name is empty without the annotation.
	keySecret() types.NamespacedName

	// end is the certificate of a finished request, or else the message of its failure.
	end() string

	// status returns the status with the decision, and false if the object has it already or
	// has no field for it.
	status(v *decision, now metav1.Time) (any, bool)
}

// waiting returns whether a request is approved and not finished.
func waiting(r request) bool { return r.approved() && !r.finished() }
