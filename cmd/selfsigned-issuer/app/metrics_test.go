// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestCertificateFiles: a replaced certificate is served, and the former one while the files do not
// fit each other.
func TestCertificateFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(certificate tls.Certificate, names ...string) {
		t.Helper()
		key, err := x509.MarshalPKCS8PrivateKey(certificate.PrivateKey)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			block := &pem.Block{Type: "CERTIFICATE", Bytes: certificate.Certificate[0]}
			if name == "tls.key" {
				block = &pem.Block{Type: "PRIVATE KEY", Bytes: key}
			}
			if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	files := &certificateFiles{dir: dir}
	if err := files.read(); err == nil {
		t.Error("missing files were read")
	}
	var certificates [2]tls.Certificate
	for i := range certificates {
		var err error
		if certificates[i], err = generateCertificate(); err != nil {
			t.Fatal(err)
		}
	}
	for _, step := range []struct {
		name   string
		change func()
		want   tls.Certificate
	}{
		{"the first", func() { write(certificates[0], "tls.crt", "tls.key") }, certificates[0]},
		{"half replaced", func() { write(certificates[1], "tls.crt") }, certificates[0]},
		{"replaced", func() { write(certificates[1], "tls.key") }, certificates[1]},
		{"deleted", func() { _ = os.Remove(filepath.Join(dir, "tls.key")) }, certificates[1]},
	} {
		step.change()
		files.readAt = time.Time{}
		got, err := files.certificate(nil)
		if err != nil || got == nil || !bytes.Equal(got.Certificate[0], step.want.Certificate[0]) {
			t.Errorf("%s: another certificate, %v", step.name, err)
		}
	}
}
