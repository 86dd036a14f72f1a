// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package signer_test

import (
	"crypto/x509"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
)

// opensslVerify verifies a certificate with the openssl command and the rules of RFC
// 5280 (-x509_strict). Without the command, it skips the rest of the test.
func opensslVerify(t *testing.T, certificate, root *x509.Certificate) error {
	t.Helper()
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skipf("not verified with OpenSSL, because this machine has no openssl command: %v", err)
	}
	dir := t.TempDir()
	certificateFile, rootFile := filepath.Join(dir, "certificate.pem"), filepath.Join(dir, "root.pem")
	for file, certificate := range map[string]*x509.Certificate{certificateFile: certificate, rootFile: root} {
		if err := os.WriteFile(file, encodePEM("CERTIFICATE", certificate.Raw), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	command := exec.CommandContext(t.Context(), openssl, "verify", "-x509_strict", "-no-CApath", "-no-CAstore",
		"-attime", strconv.FormatInt(now.Unix(), 10), "-CAfile", rootFile, certificateFile)
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, output)
	}
	return nil
}
