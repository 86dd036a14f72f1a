// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package request

import (
	"slices"
	"unique"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	experimental "github.com/cert-manager/cert-manager/pkg/apis/experimental/v1alpha1"
	libapi "github.com/cert-manager/issuer-lib/api/v1alpha1"
	certificatesv1 "k8s.io/api/certificates/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	selfsigned "github.com/cert-manager/selfsigned-issuer/api/v1alpha1"
	"github.com/cert-manager/selfsigned-issuer/controllers/internal/outcome"
)

const (
	// maxCachedSpec is the maximum size of a request spec in the cache, in bytes. It is enough for
	// a CSR with an RSA key of 8192 bits. A larger spec is read from the API server when it is
	// signed.
	maxCachedSpec = 4 << 10

	// maxSmallMetadata is the maximum size of the metadata of a request, in bytes, whose spec is in
	// the cache. Larger requests are read and written by few at a time.
	maxSmallMetadata = 16 << 10

	// maxCachedDistributionPoints is the maximum size of an issuer's distribution points in the
	// cache, in bytes. Larger ones are read from the API server when they are used.
	maxCachedDistributionPoints = 1 << 10

	// maxCachedMessage is more than the length of any of our messages.
	maxCachedMessage = 4 << 10
)

// The transforms of the caches. The size of their results is bounded for any object.
var (
	TransformSecret = transformOf(stripSecret)
	TransformIssuer = transformOf(stripIssuer)
)

// transformOf returns a transform for objects of one type.
func transformOf[T client.Object](strip func(T) client.Object) toolscache.TransformFunc {
	return func(object any) (any, error) {
		if whole, ok := object.(T); ok {
			return strip(whole), nil
		}
		return object, nil
	}
}

func stripSecret(o *metav1.PartialObjectMetadata) client.Object {
	return &secretPlaceholder{*standFor(anySecret, o), o.ResourceVersion}
}

// stripCertificateRequest keeps the spec of a request that can be signed: its approval is an update
// with the whole object. A request with an unknown kind of issuer is kept for its hint.
func stripCertificateRequest(o *cmapi.CertificateRequest) client.Object {
	r, ref := certificateRequest{o}, o.Spec.IssuerRef
	_, ours := r.Issuer()
	switch {
	case ref.Group != selfsigned.GroupName, r.Finished() && !ours:
		return standFor(foreignRequest, o)
	case r.Finished():
		return standForFinished(finishedRequest, o)
	}
	stripped := cmapi.CertificateRequest{ObjectMeta: unfinishedMeta(o, r.KeyAnnotation())}
	stripped.Spec.IssuerRef.Group = selfsigned.GroupName
	stripped.Spec.IssuerRef.Kind = intern(outcome.Clip(ref.Kind))
	stripped.Spec.IssuerRef.Name = intern(outcome.Clip(ref.Name))
	stripped.Status.Conditions = stripConditions(o.Status.Conditions)
	if ours && IsPending(r) && isSmall(specSize(o.Spec), o.ObjectMeta) {
		stripped.Spec.Duration, stripped.Spec.IsCA = o.Spec.Duration, o.Spec.IsCA
		stripped.Spec.Usages, stripped.Spec.Request = o.Spec.Usages, o.Spec.Request
	}
	*o = stripped
	return o
}

// isSmall returns whether the spec of a request is kept in the cache.
func isSmall(specSize int, meta metav1.ObjectMeta) bool {
	return specSize <= maxCachedSpec && meta.Size() <= maxSmallMetadata
}

// specSize is the size of the used fields of a spec, with the string headers of the usages.
func specSize(spec cmapi.CertificateRequestSpec) int {
	size := len(spec.Request)
	for _, usage := range spec.Usages {
		size += len(usage) + 16
	}
	return size
}

// stripConditions keeps the used fields of the used conditions.
func stripConditions(conditions []cmapi.CertificateRequestCondition) []cmapi.CertificateRequestCondition {
	var stripped []cmapi.CertificateRequestCondition
	for _, conditionType := range []cmapi.CertificateRequestConditionType{
		cmapi.CertificateRequestConditionApproved, cmapi.CertificateRequestConditionDenied, cmapi.CertificateRequestConditionReady,
	} {
		i := slices.IndexFunc(conditions, func(c cmapi.CertificateRequestCondition) bool { return c.Type == conditionType })
		if i < 0 {
			continue
		}
		c := conditions[i]
		kept := cmapi.CertificateRequestCondition{Type: conditionType, Status: intern(c.Status), LastTransitionTime: c.LastTransitionTime}
		if conditionType == cmapi.CertificateRequestConditionReady {
			kept.Reason, kept.Message = intern(outcome.Clip(c.Reason)), outcome.Truncate(c.Message, maxCachedMessage)
		}
		stripped = append(stripped, kept)
	}
	return stripped
}

// stripCertificateSigningRequest keeps the spec of a CSR that can be signed, with its author.
func stripCertificateSigningRequest(o *certificatesv1.CertificateSigningRequest) client.Object {
	r := certificateSigningRequest{csr: o}
	_, ours := r.Issuer()
	switch {
	case !ours && (r.Finished() || r.Hint() == nil):
		return standFor(foreignCSR, o)
	case r.Finished():
		return standForFinished(finishedCSR, o)
	}
	stripped := certificatesv1.CertificateSigningRequest{ObjectMeta: unfinishedMeta(o, r.KeyAnnotation())}
	stripped.Spec.SignerName = intern(o.Spec.SignerName) // at most 571 bytes
	stripped.Status.Conditions = stripCSRConditions(o.Status.Conditions)
	duration := o.Annotations[experimental.CertificateSigningRequestDurationAnnotationKey]
	if ours && IsPending(r) && isSmall(o.Spec.Size()+len(duration), o.ObjectMeta) {
		stripped.Spec = o.Spec
		keepAnnotation(&stripped.ObjectMeta, o, experimental.CertificateSigningRequestDurationAnnotationKey)
		keepAnnotation(&stripped.ObjectMeta, o, experimental.CertificateSigningRequestIsCAAnnotationKey)
	}
	*o = stripped
	return o
}

// stripCSRConditions keeps the approval: a denied or failed CSR is finished.
func stripCSRConditions(conditions []certificatesv1.CertificateSigningRequestCondition) []certificatesv1.CertificateSigningRequestCondition {
	for _, c := range conditions {
		if c.Type == certificatesv1.CertificateApproved {
			return []certificatesv1.CertificateSigningRequestCondition{{
				Type: certificatesv1.CertificateApproved, Status: intern(c.Status), LastTransitionTime: c.LastTransitionTime,
			}}
		}
	}
	return nil
}

// stripIssuer keeps spec and status, without large distribution points.
func stripIssuer(o libapi.Issuer) client.Object {
	spec, partial := SpecOf(o), IsPartialIssuer(o)
	o.SetManagedFields(nil)
	o.SetLabels(nil)
	o.SetAnnotations(nil)
	o.SetOwnerReferences(nil)
	o.SetFinalizers(nil)
	if partial || distributionPointsSize(spec) > maxCachedDistributionPoints {
		spec.CRLDistributionPoints = nil
		o.SetAnnotations(partialAnnotations)
	}
	return o
}

// distributionPointsSize is the size of all distribution points, with their string headers.
func distributionPointsSize(spec *selfsigned.SelfSignedIssuerSpec) int {
	size := 0
	for _, uri := range spec.CRLDistributionPoints {
		size += len(uri) + 16
	}
	return size
}

// partialAnnotation marks issuers in the cache without their distribution points.
const partialAnnotation = selfsigned.GroupName + "/partial"

// IsPartialIssuer returns whether the cache omits the distribution points.
func IsPartialIssuer(o libapi.Issuer) bool {
	_, partial := o.GetAnnotations()[partialAnnotation]
	return partial
}

func unfinishedMeta(o client.Object, keyAnnotation string) metav1.ObjectMeta {
	kept := metav1.ObjectMeta{
		Namespace: intern(o.GetNamespace()), Name: o.GetName(), UID: o.GetUID(),
		ResourceVersion: o.GetResourceVersion(), CreationTimestamp: o.GetCreationTimestamp(),
	}
	keepAnnotation(&kept, o, keyAnnotation)
	keepAnnotation(&kept, o, cmapi.CertificateNameKey)
	if len(o.GetOwnerReferences()) > 0 {
		kept.OwnerReferences = ownerPlaceholder
	}
	return kept
}

func keepAnnotation(kept *metav1.ObjectMeta, o client.Object, annotation string) {
	if value, annotated := o.GetAnnotations()[annotation]; annotated {
		metav1.SetMetaDataAnnotation(kept, annotation, outcome.Clip(value))
	}
}

// intern returns a string that all objects with the same value share.
func intern[T ~string](value T) T { return unique.Make(value).Value() }

var (
	// certificatePlaceholder replaces what makes a request finished.
	certificatePlaceholder = []byte("left out")

	// partialAnnotations is shared by all issuers without their distribution points.
	partialAnnotations = map[string]string{partialAnnotation: ""}

	// ownerPlaceholder replaces owner references, of which only the existence is used.
	ownerPlaceholder = []metav1.OwnerReference{{}}
)
