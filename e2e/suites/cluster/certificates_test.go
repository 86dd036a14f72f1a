// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build clustertest

package cluster

import (
	"testing"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
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
	secret := env.CreateCertificate(t, certificate)
	expect.Equal(t, "tls.crt and ca.crt", string(secret.Data["tls.crt"]), string(secret.Data["ca.crt"]))
	parsed, err := certtext.Parse(secret.Data["tls.crt"])
	expect.NoError(t, err)
	err = parsed.CheckSignature(parsed.SignatureAlgorithm, parsed.RawTBSCertificate, parsed.Signature)
	expect.True(t, err == nil, "the certificate is not self-signed: %v", err)
}
