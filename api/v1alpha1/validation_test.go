// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// That Validate agrees with the schema is shown against a real API server, in
// e2e/suites/api.

func TestValidateAccepts(t *testing.T) {
	for name, spec := range map[string]SelfSignedIssuerSpec{
		"nothing": {},
		"distribution points": {CRLDistributionPoints: []string{
			"http://crl.example.com/root.crl", "https://192.0.2.1:8443/a%20b", "http://[2001:db8::1]/", "ldap:///CN=root", "ldaps://ldap.example.com/CN=root",
		}},
		"as many as there may be":    {CRLDistributionPoints: distributionPoints(16)},
		"as long as it may be":       {CRLDistributionPoints: []string{"http://a/" + strings.Repeat("x", 2048-len("http://a/"))}},
		"path length 0":              {MaxPathLength: new(int32(0))},
		"no backdate":                {Backdate: &metav1.Duration{}},
		"backdate of 24h":            {Backdate: &metav1.Duration{Duration: 24 * time.Hour}},
		"Fill":                       {EmptySubject: EmptySubjectFill},
		"RSASSA-PSS":                 {SignatureAlgorithm: SignatureAlgorithmSHA256WithRSAPSS},
		"SHA-1 subject key identity": {SubjectKeyIdentifier: SubjectKeyIdentifierSHA1},
	} {
		if errs := spec.Validate(); len(errs) != 0 {
			t.Errorf("%s: %v", name, errs)
		}
	}
}

func TestValidateRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		spec SelfSignedIssuerSpec
		want []string
	}{
		"no URI":         {points("crl.example.com"), []string{"spec.crlDistributionPoints[0]", "starts with http://"}},
		"other scheme":   {points("http://a", "ftp://b"), []string{"spec.crlDistributionPoints[1]", "starts with http://"}},
		"not ASCII":      {points("http://zürich.example"), []string{"spec.crlDistributionPoints[0]", "xn-- form"}},
		"space":          {points("http://a/b c"), []string{"spec.crlDistributionPoints[0]", "percent-encode"}},
		"no host":        {points("https:///root.crl"), []string{"spec.crlDistributionPoints[0]", "with a host name"}},
		"bad escape":     {points("ldap:///%zz"), []string{"spec.crlDistributionPoints[0]", "well-formed"}},
		"too long":       {points("http://a/" + strings.Repeat("x", 2048)), []string{"spec.crlDistributionPoints[0]", "2048"}},
		"too many":       {points(distributionPoints(17)...), []string{"spec.crlDistributionPoints", "16"}},
		"twice":          {points("http://a", "http://b", "http://a"), []string{"spec.crlDistributionPoints[2]", "Duplicate"}},
		"empty subject":  {SelfSignedIssuerSpec{EmptySubject: "Ignore"}, []string{"spec.emptySubject", `"Warn", "Reject", "Fill"`}},
		"algorithm":      {SelfSignedIssuerSpec{SignatureAlgorithm: "MD5WithRSA"}, []string{"spec.signatureAlgorithm", `"PureEd25519"`}},
		"key identifier": {SelfSignedIssuerSpec{SubjectKeyIdentifier: "MD5"}, []string{"spec.subjectKeyIdentifier", `"SHA256", "SHA1"`}},
		"path length":    {SelfSignedIssuerSpec{MaxPathLength: new(int32(-1))}, []string{"spec.maxPathLength", "0 or more"}},
		"future":         {SelfSignedIssuerSpec{Backdate: &metav1.Duration{Duration: -time.Second}}, []string{"spec.backdate", "0s to 24h"}},
		"long ago":       {SelfSignedIssuerSpec{Backdate: &metav1.Duration{Duration: 24*time.Hour + 1}}, []string{"spec.backdate", "0s to 24h"}},
	} {
		t.Run(name, func(t *testing.T) {
			errs := test.spec.Validate()
			if len(errs) != 1 {
				t.Fatalf("got %v, want one error", errs)
			}
			for _, want := range test.want {
				if !strings.Contains(errs[0].Error(), want) {
					t.Errorf("got %q, want it to contain %q", errs[0], want)
				}
			}
		})
	}
}

func points(uris ...string) SelfSignedIssuerSpec {
	return SelfSignedIssuerSpec{CRLDistributionPoints: uris}
}

func distributionPoints(count int) []string {
	uris := make([]string, count)
	for i := range uris {
		uris[i] = fmt.Sprintf("http://crl.example.com/%d.crl", i)
	}
	return uris
}
