// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package secretscan

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"testing"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
)

func keys(t *testing.T) map[string]crypto.Signer {
	t.Helper()
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	expect.NoError(t, err)
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	expect.NoError(t, err)
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	expect.NoError(t, err)
	return map[string]crypto.Signer{"ECDSA": ec, "Ed25519": ed, "RSA": r}
}

// TestFindsWhatIsPlanted writes each kind of key in each format that a log could have.
func TestFindsWhatIsPlanted(t *testing.T) {
	t.Parallel()
	for name, key := range keys(t) {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		expect.NoError(t, err)
		encoded := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
		f := NewFinder()
		for _, secret := range Secrets(encoded) {
			f.Add("a key", secret)
		}
		if f.Len() == 0 {
			t.Fatalf("%s: no secret in the key", name)
		}
		for form, text := range map[string]string{
			"DER":            string(der),
			"PEM":            string(encoded),
			"PEM, quoted":    fmt.Sprintf("%q", encoded),
			"JSON of Secret": base64.StdEncoding.EncodeToString(encoded),
			"base64":         base64.RawURLEncoding.EncodeToString(der),
			"hex":            fmt.Sprintf("%X", der),
			"hexdump -C":     hex.Dump(der),
			"spaced hex":     fmt.Sprintf("% x", der),
			"bytes":          fmt.Sprintf("%d", der),
		} {
			expect.True(t, len(f.Find("log", []byte("level=INFO msg="+text))) != 0, "%s: not found as %s", name, form)
		}
		public, err := x509.MarshalPKIXPublicKey(key.Public())
		expect.NoError(t, err)
		for _, text := range []string{string(public), base64.StdEncoding.EncodeToString(public), hex.Dump(public)} {
			if found := f.Find("log", []byte(text)); len(found) > 0 {
				t.Errorf("%s: the public key is reported as a private one: %s", name, found)
			}
		}
	}
}

func TestNothingToFind(t *testing.T) {
	t.Parallel()
	f := NewFinder()
	for _, data := range []string{"", "no key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"} {
		if secrets := Secrets([]byte(data)); len(secrets) > 0 {
			t.Errorf("%q has %d secrets", data, len(secrets))
		}
	}
	if found := f.Find("log", []byte("a line of text that is longer than the window")); len(found) > 0 {
		t.Error(found)
	}
}
