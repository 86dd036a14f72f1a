// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build clustertest

package cluster

import (
	"context"
	"fmt"
	"testing"

	cmutil "github.com/cert-manager/cert-manager/pkg/api/util"
	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	selfsigned "github.com/cert-manager/selfsigned-issuer/api/v1alpha1"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/certtext"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
)

const issuerName = "clustertest"

// testCertificates issues a Certificate from each kind of issuer that the overlay supports.
func (i *installation) testCertificates(t *testing.T) {
	env.Create(t, &selfsigned.SelfSignedIssuer{ObjectMeta: metav1.ObjectMeta{Namespace: i.namespace, Name: issuerName}})
	i.issue(t, "SelfSignedIssuer", "root")
	if i.clusterKind {
		issuer := &selfsigned.ClusterSelfSignedIssuer{ObjectMeta: metav1.ObjectMeta{Name: issuerName}}
		env.Create(t, issuer)
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
	env.Create(t, certificate)
	env.Eventually(t, "Certificate "+name, func(context.Context) error {
		env.Get(t, certificate)
		if cmutil.CertificateHasCondition(certificate, cmapi.CertificateCondition{Type: cmapi.CertificateConditionReady, Status: cmmeta.ConditionTrue}) {
			return nil
		}
		return fmt.Errorf("not Ready: %+v", certificate.Status)
	})
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: i.namespace, Name: name}}
	env.Get(t, secret)
	if string(secret.Data["ca.crt"]) != string(secret.Data["tls.crt"]) {
		t.Error("ca.crt is not the certificate itself")
	}
	parsed, err := certtext.Parse(secret.Data["tls.crt"])
	expect.NoError(t, err)
	if err := parsed.CheckSignature(parsed.SignatureAlgorithm, parsed.RawTBSCertificate, parsed.Signature); err != nil {
		t.Errorf("the certificate is not self-signed: %v", err)
	}
}
