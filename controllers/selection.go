// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"cmp"
	"context"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	selfsigned "github.com/cert-manager/selfsigned-issuer/api/v1alpha1"
	"github.com/cert-manager/selfsigned-issuer/controllers/internal/request"
)

// ownRequests selects the CertificateRequests for issuers in our group. The API server supports
// it if the CRD has the field in selectableFields, as in cert-manager v1.20 and later.
var ownRequests = fields.OneTermEqualSelector("spec.issuerRef.group", selfsigned.GroupName)

// ownSecrets selects the Secrets that cert-manager creates for a Certificate. cert-manager's caches
// use the same label.
var ownSecrets = labels.SelectorFromSet(labels.Set{cmapi.PartOfCertManagerControllerLabelKey: "true"})

// secretMetadata returns an empty object of the type that is used to watch Secrets.
func secretMetadata() *metav1.PartialObjectMetadata {
	secret := &metav1.PartialObjectMetadata{}
	secret.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	return secret
}

// cacheOptions are the options of the caches of a scope. Other objects would cost memory, and each
// of their changes would cost time.
func (o Options) cacheOptions(kinds []request.Kind, selectable bool) cache.Options {
	byObject := map[client.Object]cache.ByObject{secretMetadata(): {Label: ownSecrets, Transform: request.TransformSecret}}
	for _, kind := range o.issuerKinds() {
		byObject[request.IssuerRef{Kind: kind}.NewObject()] = cache.ByObject{Transform: request.TransformIssuer}
	}
	for _, kind := range kinds {
		requests := cache.ByObject{Transform: kind.Transform}
		if selectable && kind.Name == cmapi.CertificateRequestKind {
			requests.Field = ownRequests
		}
		byObject[kind.NewObject()] = requests
	}
	return cache.Options{ByObject: byObject}
}

const unselectedMessage = "Watching the CertificateRequests of all issuers, which needs more memory: " +
	"the API server does not support the field selector for those of selfsigned-issuer. cert-manager v1.20 and later support it."

// selectable returns whether the API server supports ownRequests. It rejects an unsupported field
// selector with 400. The list is for one name in one namespace, which is cheap for any number of
// objects.
func (c permissionChecker) selectable(ctx context.Context, namespace string) (bool, error) {
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(cmapi.SchemeGroupVersion.WithKind(cmapi.CertificateRequestKind + "List"))
	oneName := fields.OneTermEqualSelector(metav1.ObjectNameField, "selfsigned-issuer")
	err := c.live.List(ctx, list, client.InNamespace(cmp.Or(namespace, metav1.NamespaceDefault)),
		client.MatchingFieldsSelector{Selector: fields.AndSelectors(ownRequests, oneName)})
	switch {
	case apierrors.IsBadRequest(err):
		return false, nil
	case err != nil:
		return false, permissionError("list", "certificaterequests.cert-manager.io", err)
	default:
		return true, nil
	}
}
