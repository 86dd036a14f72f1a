// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"unique"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Slim is the transform of the manager's cache: it drops what is never read again, so that
// the process is as large as the number of requests that wait, and not of all that there
// have ever been. What is left of an object says who it is, whose it is, and that it is
// finished. A change in the cluster brings the whole object again.
func Slim(object any) (any, error) {
	switch o := object.(type) {
	case *metav1.PartialObjectMetadata: // a Secret's, of which there are the most
		*o = metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
			Namespace: unique.Make(o.Namespace).Value(), Name: o.Name, ResourceVersion: o.ResourceVersion,
		}}
	case *cmapi.CertificateRequest:
		if r := (certificateRequest{o}); unneeded(r) {
			o.ObjectMeta = identity(o)
			o.Spec = cmapi.CertificateRequestSpec{IssuerRef: o.Spec.IssuerRef}
			slimStatus(&o.Status)
		}
	case *certificatesv1.CertificateSigningRequest:
		if r := (certificateSigningRequest{csr: o}); unneeded(r) {
			o.ObjectMeta = identity(o)
			o.Spec = certificatesv1.CertificateSigningRequestSpec{SignerName: o.Spec.SignerName}
			o.Status.Certificate = mark(o.Status.Certificate)
		}
	}
	if o, ok := object.(client.Object); ok {
		o.SetManagedFields(nil)
	}
	return object, nil
}

// unneeded is true of requests that are never looked into again.
func unneeded(r request) bool {
	_, ours := r.issuer()
	return !ours || r.finished()
}

func identity(o client.Object) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Namespace: o.GetNamespace(), Name: o.GetName(), UID: o.GetUID(), ResourceVersion: o.GetResourceVersion(),
		CreationTimestamp: o.GetCreationTimestamp(), // for hints about unknown issuer kinds
	}
}

func slimStatus(status *cmapi.CertificateRequestStatus) {
	slim := cmapi.CertificateRequestStatus{Certificate: mark(status.Certificate)}
	for _, c := range status.Conditions {
		slim.Conditions = append(slim.Conditions, cmapi.CertificateRequestCondition{Type: c.Type, Status: c.Status, Reason: c.Reason})
	}
	*status = slim
}

// mark stands for a certificate: that there is one makes a request finished.
func mark(certificate []byte) []byte {
	if len(certificate) == 0 {
		return nil
	}
	return certificateMark
}

var certificateMark = []byte("left out")

// eachItem calls do with each object of a list in the cache, which must not be changed.
func eachItem(ctx context.Context, cache client.Reader, list client.ObjectList, do func(client.Object), options ...client.ListOption) error {
	options = append(options, client.UnsafeDisableDeepCopy)
	if err := cache.List(ctx, list, options...); err != nil {
		return err
	}
	return apimeta.EachListItem(list, func(item runtime.Object) error {
		do(item.(client.Object))
		return nil
	})
}
