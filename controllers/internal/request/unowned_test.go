// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package request

import (
	"testing"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	selfsigned "github.com/cert-manager/selfsigned-issuer/api/v1alpha1"
	"github.com/cert-manager/selfsigned-issuer/controllers/internal/testsupport"
)

// TestUnattended: requests in the cache have the fields that Unattended needs.
func TestUnattended(t *testing.T) {
	t.Parallel()
	forCertificate := map[string]string{cmapi.CertificateNameKey: "certificate"}
	for name, test := range map[string]struct {
		age         time.Duration
		owned       bool
		annotations map[string]string
		lost, want  bool
	}{
		"a Certificate's":          {age: time.Hour, owned: true, annotations: forCertificate},
		"a Certificate's, old":     {age: 30 * 24 * time.Hour, owned: true, annotations: forCertificate},
		"restored from a backup":   {age: time.Second, annotations: forCertificate, lost: true, want: true},
		"made by hand":             {age: 23 * time.Hour},
		"empty annotation":         {age: 23 * time.Hour, annotations: map[string]string{cmapi.CertificateNameKey: ""}},
		"made by hand, old":        {age: 25 * time.Hour, want: true},
		"of another owner, old":    {age: 25 * time.Hour, owned: true},
		"restored, older than day": {age: 25 * time.Hour, annotations: forCertificate, lost: true, want: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			now := time.Now()
			request := &cmapi.CertificateRequest{
				ObjectMeta: metav1.ObjectMeta{Namespace: "sandbox", Name: "request", CreationTimestamp: metav1.NewTime(now.Add(-test.age))},
				Spec:       cmapi.CertificateRequestSpec{IssuerRef: cmmeta.IssuerReference{Group: selfsigned.GroupName, Kind: IssuerKind, Name: "issuer"}},
			}
			if test.owned {
				request.OwnerReferences = testsupport.OwnedBy("certificate")
			}
			request.Annotations = test.annotations
			kept := certificateRequest{stripped(t, request)}
			if LostOwner(kept) != test.lost || Unattended(kept, now) != test.want {
				t.Errorf("lost its owner: %t, unattended: %t; want %t, %t", LostOwner(kept), Unattended(kept, now), test.lost, test.want)
			}
		})
	}
}
