// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package x509lint_test

import (
	"crypto/x509"
	"encoding/asn1"
	"slices"
	"testing"

	zx509 "github.com/zmap/zcrypto/x509"
	"github.com/zmap/zlint/v3"
	"github.com/zmap/zlint/v3/lint"
)

// rfcs are the sources of lints that hold for any certificate. The others are
// rules of the public web PKI, which no self-signed certificate is part of.
var rfcs = lint.SourceList{lint.RFC3279, lint.RFC5280, lint.RFC5480, lint.RFC5891, lint.RFC8813}

// exceptions are the findings that a request demands, or that no certificate of
// this kind can avoid, each with the requests that it is expected for.
var exceptions = map[string]struct {
	reason   string
	expected func(combination) bool
}{}

func TestMatrix(t *testing.T) {
	registry, err := lint.GlobalRegistry().Filter(lint.FilterOptions{IncludeSources: rfcs})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	total := 0
	check := func(t *testing.T, certificates []combination) {
		total += len(certificates)
		for _, c := range certificates {
			verifyWithGo(t, c)
			lintCertificate(t, registry, c, seen)
		}
		verifyWithOpenSSL(t, certificates)
	}
	for _, k := range newKeys() {
		t.Run(k.name, func(t *testing.T) { check(t, combine(t, k, optionsFor(k))) })
	}
	t.Run("RSA 8192", func(t *testing.T) { check(t, combine(t, newLargeKey(), options[:1])) })

	t.Logf("%d certificates, each held against %d lints", total, len(registry.Names()))
	for name, exception := range exceptions {
		t.Logf("%s: %d times. %s", name, seen[name], exception.reason)
		if seen[name] == 0 {
			t.Errorf("%s is listed and was never found: remove it", name)
		}
	}
}

func lintCertificate(t *testing.T, registry lint.Registry, c combination, seen map[string]int) {
	t.Helper()
	parsed, err := zx509.ParseCertificate(c.certificate.Raw)
	if err != nil {
		t.Fatalf("%s: zcrypto cannot parse it: %v", c.name, err)
	}
	for name, result := range zlint.LintCertificateEx(parsed, registry).Results {
		if result.Status < lint.Notice {
			continue
		}
		if exception, listed := exceptions[name]; listed && exception.expected(c) {
			seen[name]++
			continue
		}
		t.Errorf("%s: %s %s: %s %s", c.name, result.Status, name, result.LintMetadata.Description, result.Details)
	}
}

// verifyWithGo verifies a certificate with itself as the root.
func verifyWithGo(t *testing.T, c combination) {
	t.Helper()
	if err := c.certificate.CheckSignature(c.certificate.SignatureAlgorithm, c.certificate.RawTBSCertificate, c.certificate.Signature); err != nil {
		t.Errorf("%s: Go: %v", c.name, err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(c.certificate)
	copied := *c.certificate
	if len(c.requested.OtherNames) > 0 {
		// Go gives up on a critical SAN of nothing but otherNames.
		copied.UnhandledCriticalExtensions = slices.DeleteFunc(copied.UnhandledCriticalExtensions, asn1.ObjectIdentifier{2, 5, 29, 17}.Equal)
	}
	_, err := copied.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	if err != nil {
		t.Errorf("%s: Go: %v", c.name, err)
	}
}
