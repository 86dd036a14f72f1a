// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package x509_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

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
		encoded := encode("CERTIFICATE", c.certificate.Raw)
		roots = append(roots, encoded...)
		must(os.WriteFile(file, encoded, 0o600))
		arguments = append(arguments, file)
	}
	must(os.WriteFile(trusted, roots, 0o600))
	output, err := exec.CommandContext(t.Context(), openssl, arguments...).CombinedOutput()
	if err == nil {
		return
	}
	for i, c := range certificates {
		if !strings.Contains(string(output), fmt.Sprintf("%d.pem: OK", i)) {
			t.Errorf("%s: openssl does not verify it", c.name)
		}
	}
	t.Errorf("openssl: %v\n%s", err, output)
}
