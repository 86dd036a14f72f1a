// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package experiments

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	selfsigned "github.com/cert-manager/selfsigned-issuer/api/v1alpha1"
)

// floor does what any signer has to do at the API server, and nothing else: no process is
// started, nothing is watched, and no certificate is made while it is measured.
type floor struct {
	*bench
	title     string
	writeOnly bool
}

func (b *bench) floor() contestant { return &floor{bench: b, title: Floor} }

func (b *bench) writeAlone() contestant {
	return &floor{bench: b, title: WriteAlone, writeOnly: true}
}

func (f *floor) name() string { return f.title }

func (f *floor) issuer() cmmeta.IssuerReference {
	return cmmeta.IssuerReference{Group: selfsigned.GroupName, Kind: "ClusterSelfSignedIssuer", Name: issuerName}
}

func (f *floor) stop() error { return nil }

// start returns when all requests are signed, which are there already.
func (f *floor) start(ctx context.Context, batch *batch) (signer, error) {
	status, err := sampleStatus(batch.requests[0])
	if err != nil {
		return signer{}, err
	}
	started := time.Now()
	err = concurrently(ctx, len(batch.requests), func(ctx context.Context, i int) error {
		return f.sign(ctx, batch.requests[i], status)
	})
	return signer{started: started}, err
}

// sign reads the key, writes the status and sends the event, each in the cheapest way that
// was found.
func (f *floor) sign(ctx context.Context, request *cmapi.CertificateRequest, status cmapi.CertificateRequestStatus) error {
	if !f.writeOnly {
		key := client.ObjectKeyFromObject(request)
		if err := f.asPlugin.Get(ctx, key, &corev1.Secret{}, fromWatchCache); err != nil {
			return err
		}
	}
	patch, err := statusPatch(request, status)
	if err != nil {
		return err
	}
	if err := f.asPlugin.Status().Patch(ctx, request.DeepCopy(), patch, client.FieldOwner("floor"), client.ForceOwnership); err != nil {
		return err
	}
	if f.writeOnly {
		return nil
	}
	return f.asPlugin.Create(ctx, floorEvent(request))
}

var fromWatchCache = &client.GetOptions{Raw: &metav1.GetOptions{ResourceVersion: "0"}}

func statusPatch(request *cmapi.CertificateRequest, status cmapi.CertificateRequestStatus) (client.Patch, error) {
	body, err := json.Marshal(map[string]any{
		"apiVersion": cmapi.SchemeGroupVersion.String(),
		"kind":       cmapi.CertificateRequestKind,
		"metadata": map[string]any{
			"name": request.Name, "namespace": request.Namespace,
			"uid": request.UID, "resourceVersion": request.ResourceVersion,
		},
		"status": status,
	})
	return client.RawPatch(types.ApplyPatchType, body), err
}

func floorEvent(request *cmapi.CertificateRequest) *eventsv1.Event {
	return &eventsv1.Event{
		ObjectMeta: metav1.ObjectMeta{Namespace: request.Namespace, Name: fmt.Sprintf("%s.%x", request.Name, time.Now().UnixNano())},
		EventTime:  metav1.NowMicro(),
		Regarding: corev1.ObjectReference{
			APIVersion: cmapi.SchemeGroupVersion.String(), Kind: cmapi.CertificateRequestKind,
			Namespace: request.Namespace, Name: request.Name, UID: request.UID, ResourceVersion: request.ResourceVersion,
		},
		ReportingController: selfsigned.GroupName, ReportingInstance: "floor",
		Type: corev1.EventTypeNormal, Action: "Sign", Reason: "CertificateIssued", Note: floorMessage(request),
	}
}

// sampleStatus has the size of what the plugin writes.
func sampleStatus(request *cmapi.CertificateRequest) (cmapi.CertificateRequestStatus, error) {
	certificate, err := newCertificate(request.Name + ".example.com")
	return cmapi.CertificateRequestStatus{
		Certificate: certificate,
		CA:          certificate,
		Conditions: []cmapi.CertificateRequestCondition{{
			Type: cmapi.CertificateRequestConditionReady, Status: cmmeta.ConditionTrue,
			Reason: cmapi.CertificateRequestReasonIssued, Message: floorMessage(request),
			LastTransitionTime: new(metav1.Now()),
		}},
	}, err
}

func floorMessage(request *cmapi.CertificateRequest) string {
	return fmt.Sprintf("Certificate issued, signed with the private key in Secret %s/%s.", request.Namespace, request.Name)
}
