// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build clustertest

package cluster

import (
	"fmt"
	"testing"

	cmutil "github.com/cert-manager/cert-manager/pkg/api/util"
	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	selfsigned "github.com/cert-manager/selfsigned-issuer/api/v1alpha1"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/certtext"
)

const issuerName = "clustertest"

// testCertificates issues a Certificate from each kind of issuer that the overlay serves.
func (i *installation) testCertificates(t *testing.T) {
	create(t, &selfsigned.SelfSignedIssuer{ObjectMeta: metav1.ObjectMeta{Namespace: i.namespace, Name: issuerName}})
	i.issue(t, "SelfSignedIssuer", "root")
	if i.clusterKind {
		issuer := &selfsigned.ClusterSelfSignedIssuer{ObjectMeta: metav1.ObjectMeta{Name: issuerName}}
		create(t, issuer)
		i.issue(t, "ClusterSelfSignedIssuer", "cluster-root")
	}
}

func (i *installation) issue(t *testing.T, kind, name string) {
	t.Helper()
	certificate := &cmapi.Certificate{
		ObjectMeta: metav1.ObjectMeta{Namespace: i.namespace, Name: name},
		Spec: cmapi.CertificateSpec{
			CommonName: name, IsCA: true, SecretName: name,
			PrivateKey: &cmapi.CertificatePrivateKey{Algorithm: cmapi.ECDSAKeyAlgorithm},
			IssuerRef:  cmmeta.IssuerReference{Group: selfsigned.GroupName, Kind: kind, Name: issuerName},
		},
	}
	create(t, certificate)
	await(t, "Certificate "+name, func() string {
		get(t, certificate)
		if cmutil.CertificateHasCondition(certificate, cmapi.CertificateCondition{Type: cmapi.CertificateConditionReady, Status: cmmeta.ConditionTrue}) {
			return ""
		}
		return fmt.Sprintf("not Ready: %+v", certificate.Status)
	})
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: i.namespace, Name: name}}
	get(t, secret)
	if string(secret.Data["ca.crt"]) != string(secret.Data["tls.crt"]) {
		t.Error("ca.crt is not the certificate itself")
	}
	parsed, err := certtext.Parse(secret.Data["tls.crt"])
	if err != nil {
		t.Fatal(err)
	}
	if err := parsed.CheckSignature(parsed.SignatureAlgorithm, parsed.RawTBSCertificate, parsed.Signature); err != nil {
		t.Errorf("the certificate is not signed by itself: %v", err)
	}
}
