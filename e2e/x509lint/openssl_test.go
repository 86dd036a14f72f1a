// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package x509lint_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
)

// verifyWithOpenSSL verifies certificates by the rules of RFC 5280 that openssl
// calls strict, all in one run of the command: a self-signed certificate only
// verifies when it is itself among the trusted ones.
func verifyWithOpenSSL(t *testing.T, certificates []combination) {
	t.Helper()
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Logf("not verified with OpenSSL, because this machine has no openssl command: %v", err)
		return
	}
	dir := t.TempDir()
	trusted := filepath.Join(dir, "trusted.pem")
	arguments := []string{"verify", "-x509_strict", "-no-CApath", "-no-CAstore", "-attime", strconv.FormatInt(now.Unix(), 10), "-CAfile", trusted}
	var all []byte
	for i, c := range certificates {
		file := filepath.Join(dir, fmt.Sprintf("%d.pem", i))
		encoded := encode("CERTIFICATE", c.certificate.Raw)
		all = append(all, encoded...)
		must(os.WriteFile(file, encoded, 0o600))
		arguments = append(arguments, file)
	}
	must(os.WriteFile(trusted, all, 0o600))
	if output, err := exec.CommandContext(t.Context(), openssl, arguments...).CombinedOutput(); err != nil {
		t.Errorf("openssl: %v\n%s", err, output)
	}
}
