// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package request reads the two kinds of request, CertificateRequests and Kubernetes CSRs, through
// one interface. It also has their references to issuers, and the part of them that is cached.
package request

import (
	"context"
	"time"

	libsigner "github.com/cert-manager/issuer-lib/controllers/signer"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/cert-manager/selfsigned-issuer/controllers/internal/outcome"
)

// Kind is one of the two kinds of request.
type Kind struct {
	Name      string
	Reference string // the field with the issuer, for messages
	NewObject func() client.Object
	NewList   func() client.ObjectList
	Wrap      func(client.Object) Request
	Preflight func(context.Context, Request) *outcome.Decision // can be nil

	// Transform is the transform of the cache.
	Transform toolscache.TransformFunc

	// HasCondition means that the status has a condition for pending requests.
	HasCondition bool
}

// Request is one CertificateRequest or Kubernetes CSR, read-only.
type Request interface {
	Object() client.Object
	Details() libsigner.CertificateRequestObject

	Approved() bool // and not denied
	Denied() bool
	Finished() bool // it is never written again
	DenialRecorded() bool

	// Hint returns the hint for a request that is not processed, or nil.
	Hint() *outcome.Hint

	// WaitingSince is the time of the approval, or else of the creation.
	WaitingSince() time.Time

	// ReadyMessage is the message of the Ready condition; empty without one.
	ReadyMessage() string

	// FromCertificate is true if cert-manager created the request for a Certificate.
	FromCertificate() bool

	// Partial is true if the cache omits the spec because of its size. Complete copies the spec
	// from the whole object.
	Partial() bool
	Complete(whole client.Object)

	// Issuer returns the referenced issuer, and false if it is not one of ours.
	Issuer() (IssuerRef, bool)
	// KeyAnnotation is the annotation that names the Secret with the private key.
	KeyAnnotation() string
	// KeySecret is this Secret. Its name is empty without the annotation.
	KeySecret() types.NamespacedName

	// User is the author of a Kubernetes CSR; empty for other requests.
	User() string

	// End is the certificate of a finished request, or else the message of its failure.
	End() string

	// Status returns the status with the decision, and false if the object has it already or
	// has no field for it.
	Status(d *outcome.Decision, now metav1.Time) (any, bool)
}

// IsPending returns whether a request is approved and not finished.
func IsPending(r Request) bool { return r.Approved() && !r.Finished() }
