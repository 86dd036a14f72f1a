// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package x509 tests certificates of package signer in every combination of key, usages, kind,
// subject and option with Go, zlint and the openssl command. It is in this module because zlint must
// not be a requirement of the main module.
package x509_test

import (
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/cert-manager/cert-manager/pkg/util/pki"
	zx509 "github.com/zmap/zcrypto/x509"
	"github.com/zmap/zlint/v3"
	"github.com/zmap/zlint/v3/lint"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
)

// rfcs are the sources of lints for all certificates. The others are for the public web PKI.
var rfcs = lint.SourceList{lint.RFC3279, lint.RFC5280, lint.RFC5480, lint.RFC5891, lint.RFC8813}

// exceptions are findings that result from the request or the issuer, with the certificates for
// which they are expected. The in-tree issuer has the same findings.
var exceptions = map[string]struct {
	reason   string
	expected func(combination) bool
}{
	"e_issuer_field_empty": {
		"requested without a subject, and spec.emptySubject is Warn",
		func(c combination) bool { return c.unnamed() },
	},
	"e_ca_subject_field_empty": {
		"the same, on a CA",
		func(c combination) bool { return c.unnamed() && c.certificate.IsCA },
	},
	"e_ecdsa_allowed_ku": {
		"requested with key encipherment, which cert-manager asks for by default and RFC 8813 section 3 forbids for ECDSA keys: set spec.usages",
		func(c combination) bool { return c.enciphers(x509.ECDSA) },
	},
	"e_rsa_allowed_ku_no_encipherment_ca": {
		"requested with key encipherment, which cert-manager asks for by default and RFC 3279 section 2.3.1 advises against for CAs: set spec.usages",
		func(c combination) bool { return c.enciphers(x509.RSA) && c.certificate.IsCA },
	},
	"e_ext_name_constraints_not_in_ca": {
		"name constraints requested for a leaf, where RFC 5280 section 4.2.1.10 does not allow them",
		func(c combination) bool { return c.requested.NameConstraints != nil && !c.certificate.IsCA },
	},
	"w_distribution_point_missing_ldap_or_uri": {
		"the issuer's only distribution point is https, and RFC 5280 section 4.2.1.13 recommends http or ldap: a client may need a CRL to fetch the CRL",
		func(c combination) bool { return strings.HasPrefix(c.option.CRLDistributionPoints[0], "https:") },
	},
}

func TestMatrix(t *testing.T) {
	registry, err := lint.GlobalRegistry().Filter(lint.FilterOptions{IncludeSources: rfcs})
	expect.NoError(t, err)
	var (
		mutex sync.Mutex
		all   []combination
		seen  = map[string]int{}
	)
	t.Run("certificates", func(t *testing.T) {
		for _, k := range kindsOfKey {
			t.Run(k.name, func(t *testing.T) {
				t.Parallel()
				certificates := k.combine(t)
				found := check(t, registry, certificates)

				mutex.Lock()
				defer mutex.Unlock()
				all = append(all, certificates...)
				for name, times := range found {
					seen[name] += times
				}
			})
		}
	})
	t.Run("openssl", func(t *testing.T) { verifyWithOpenSSL(t, all) })

	t.Logf("%d certificates with %d lints", len(all), len(registry.Names()))
	for name, exception := range exceptions {
		t.Logf("%s: %d times. %s", name, seen[name], exception.reason)
		expect.True(t, seen[name] > 0, "%s is listed, but not found: remove it", name)
	}
}

// check verifies and lints certificates. It returns the number of findings of each exception.
func check(t *testing.T, registry lint.Registry, certificates []combination) map[string]int {
	t.Helper()
	seen := map[string]int{}
	for _, c := range certificates {
		verifyWithGo(t, c)
		for name, result := range findings(t, registry, c) {
			if exception, listed := exceptions[name]; listed && exception.expected(c) {
				seen[name]++
				continue
			}
			t.Errorf("%s: %s %s: %s %s", c.name, result.Status, name, result.LintMetadata.Description, result.Details)
		}
	}
	return seen
}

// findings returns the results with at least a notice.
func findings(t *testing.T, registry lint.Registry, c combination) map[string]*lint.LintResult {
	t.Helper()
	parsed, err := zx509.ParseCertificate(c.certificate.Raw)
	if err != nil {
		t.Fatalf("%s: zcrypto cannot parse it: %v", c.name, err)
	}
	results := zlint.LintCertificateEx(parsed, registry).Results
	maps.DeleteFunc(results, func(_ string, result *lint.LintResult) bool { return result.Status < lint.Notice })
	return results
}

// verifyWithGo verifies a certificate with itself as the root.
func verifyWithGo(t *testing.T, c combination) {
	t.Helper()
	err := c.certificate.CheckSignature(c.certificate.SignatureAlgorithm, c.certificate.RawTBSCertificate, c.certificate.Signature)
	expect.True(t, err == nil, "%s: Go: %v", c.name, err)
	roots := x509.NewCertPool()
	roots.AddCert(c.certificate)
	copied := *c.certificate
	if len(c.requested.OtherNames) > 0 {
		// Go does not support a critical SAN with only otherNames.
		copied.UnhandledCriticalExtensions = slices.DeleteFunc(copied.UnhandledCriticalExtensions, asn1.ObjectIdentifier{2, 5, 29, 17}.Equal)
	}
	_, err = copied.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	expect.True(t, err == nil, "%s: Go: %v", c.name, err)
}

// verifyWithOpenSSL verifies each certificate with itself as the root and with -x509_strict.
func verifyWithOpenSSL(t *testing.T, certificates []combination) {
	t.Helper()
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Logf("not verified with OpenSSL: %v", err)
		return
	}
	for _, batch := range batches(certificates) {
		verifyBatch(t, openssl, batch)
	}
}

// batches reduces the number of openssl processes. Certificates in a batch differ in name or key,
// because openssl would try one as the issuer of the other.
func batches(certificates []combination) [][]combination {
	var all [][]combination
	count := map[string]int{}
	for _, c := range certificates {
		identity := string(c.certificate.RawSubject) + string(c.certificate.RawSubjectPublicKeyInfo)
		batch := count[identity]
		count[identity]++
		if batch == len(all) {
			all = append(all, nil)
		}
		all[batch] = append(all[batch], c)
	}
	return all
}

func verifyBatch(t *testing.T, openssl string, certificates []combination) {
	t.Helper()
	dir := t.TempDir()
	trusted := filepath.Join(dir, "trusted.pem")
	arguments := []string{"verify", "-x509_strict", "-no-CApath", "-no-CAstore", "-attime", strconv.FormatInt(now.Unix(), 10), "-CAfile", trusted}
	var roots []byte
	for i, c := range certificates {
		file := filepath.Join(dir, fmt.Sprintf("%d.pem", i))
		encoded, err := pki.EncodeX509(c.certificate)
		expect.NoError(t, err)
		roots = append(roots, encoded...)
		expect.NoError(t, os.WriteFile(file, encoded, 0o600))
		arguments = append(arguments, file)
	}
	expect.NoError(t, os.WriteFile(trusted, roots, 0o600))
	output, err := exec.CommandContext(t.Context(), openssl, arguments...).CombinedOutput()
	if err == nil {
		return
	}
	for i, c := range certificates {
		ok := strings.Contains(string(output), fmt.Sprintf("%d.pem: OK", i))
		expect.True(t, ok, "%s: openssl does not verify it", c.name)
	}
	t.Errorf("openssl: %v\n%s", err, output)
}
