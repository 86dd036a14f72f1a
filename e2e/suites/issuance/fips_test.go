// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package issuance_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"flag"
	"strings"
	"testing"

	selfsigned "github.com/cert-manager/selfsigned-issuer/api/v1alpha1"
)

// `make test-fips` sets a program with the validated module. By default, the module of the Go
// version is used.
var fipsBinary = flag.String("fips-binary", "", "a program that was built with GOFIPS140")

// TestFIPS runs selfsigned-issuer with GODEBUG=fips140=only, in which all other cryptography panics
// or fails. It must not run in parallel.
func TestFIPS(t *testing.T) {
	binary := env.Binary
	if *fipsBinary != "" {
		binary = *fipsBinary
	}
	t.Setenv("GODEBUG", "fips140=only")
	replaceIssuer(t, binary)
	if log := env.Issuer.Tail(1000); !strings.Contains(log, ", FIPS 140-3 module ") {
		t.Errorf("the log does not contain the FIPS mode:\n%s", log)
	}
	newRSA := func() (crypto.Signer, error) { return rsa.GenerateKey(rand.Reader, 2048) }
	for _, test := range []struct {
		name       string
		generate   func() (crypto.Signer, error)
		identifier selfsigned.SubjectKeyIdentifierMethod
	}{
		{"RSA", newRSA, ""},
		{"ECDSA", func() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P384(), rand.Reader) }, ""},
		{"Ed25519", func() (crypto.Signer, error) { _, key, err := ed25519.GenerateKey(rand.Reader); return key, err }, ""},
		{"SHA-1 as a name for the key", newRSA, selfsigned.SubjectKeyIdentifierSHA1},
	} {
		t.Run(test.name, func(t *testing.T) {
			key, err := test.generate()
			if err != nil {
				t.Fatal(err)
			}
			namespace := newNamespaceWith(t, selfsigned.SelfSignedIssuerSpec{SubjectKeyIdentifier: test.identifier})
			createKeySecret(t, namespace, key)
			request := newRequest(t, namespace, key)
			env.Create(t, request)
			checkIssued(t, request)
		})
	}
	t.Setenv("GODEBUG", "")
	replaceIssuer(t, env.Binary)
}

// replaceIssuer stops the running replica and starts another binary.
func replaceIssuer(t *testing.T, binary string) {
	t.Helper()
	if err := env.Issuer.Stop(stopsWithin); err != nil {
		t.Fatal(err)
	}
	replica, err := env.Installation.Start(t.Context(), binary, "selfsigned-issuer-"+t.Name(), issuerArgs...)
	if err != nil {
		t.Fatal(err)
	}
	env.Issuer = replica
	if err := replica.AwaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
}
