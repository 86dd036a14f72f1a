// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package signer

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/pem"
	"fmt"

	"github.com/cert-manager/cert-manager/pkg/util/pki"
)

// maxKeyPEM is the size in bytes beyond which cert-manager does not decode a
// private key (internal/pem); an RSA key of 8192 bits takes half of it.
const maxKeyPEM = 13000

// ParsePrivateKey reads the one PEM-encoded private key in data: PKCS #8
// ("PRIVATE KEY", RFC 5958), PKCS #1 ("RSA PRIVATE KEY", RFC 8017) or SEC 1
// ("EC PRIVATE KEY", RFC 5915), not encrypted. Keys are those that cert-manager
// can generate: RSA of 2048 to 8192 bits, ECDSA on P-256, P-384 or P-521, and
// Ed25519. It fails with ReasonUnusableKey, never quotes its input, and takes
// bounded time and memory whatever the input.
func ParsePrivateKey(data []byte) (crypto.Signer, error) {
	block, err := onlyBlock(data)
	if err != nil {
		return nil, err
	}
	if err := checkLabel(block); err != nil {
		return nil, err
	}
	key, err := pki.DecodePrivateKeyBytes(data)
	if err != nil {
		// The parser's error can carry bytes of the key.
		return nil, unusableKey("its PEM block is damaged, or not an RSA, ECDSA or Ed25519 key in the format that its first line names: store the key again")
	}
	if problem := unsupported(key.Public()); problem != "" {
		return nil, unusableKey("it is %s", problem)
	}
	return key, nil
}

// onlyBlock refuses further PEM blocks: which of two keys is meant would be a
// guess, and a certificate chain belongs in tls.crt.
func onlyBlock(data []byte) (*pem.Block, error) {
	if len(data) > maxKeyPEM {
		return nil, unusableKey("it is %d bytes long: a PEM-encoded private key has at most %d", len(data), maxKeyPEM)
	}
	if bytes.IndexByte(data, 0) >= 0 {
		return nil, unusableKey("it contains NUL bytes, as DER or UTF-16 does: store the key PEM-encoded, as plain ASCII")
	}
	block, rest := pem.Decode(data)
	if block == nil {
		return nil, unusableKey("no PEM block was found: its first line must be -----BEGIN PRIVATE KEY----- or that of another kind of private key")
	}
	if next, _ := pem.Decode(rest); next != nil {
		return nil, unusableKey("it holds several PEM blocks: leave only the private key")
	}
	return block, nil
}

// checkLabel explains what a PEM block is when it cannot be a usable key.
func checkLabel(block *pem.Block) error {
	if _, encrypted := block.Headers["DEK-Info"]; encrypted || block.Type == "ENCRYPTED PRIVATE KEY" {
		return unusableKey("it is encrypted, and there is no place for its passphrase: store it unencrypted")
	}
	switch block.Type {
	case "PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY":
		return nil
	case "OPENSSH PRIVATE KEY":
		return unusableKey("it is in OpenSSH's own format: convert it with ssh-keygen -p -m PKCS8")
	default:
		return unusableKey("its PEM block is not a private key: the first line must say PRIVATE KEY, RSA PRIVATE KEY or EC PRIVATE KEY")
	}
}

// unsupported returns what is wrong with a public key, as the end of a
// sentence, or nothing. An RSA key of 16384 bits would take a second to sign.
func unsupported(key crypto.PublicKey) string {
	switch key := key.(type) {
	case *rsa.PublicKey:
		if bits := rsaBits(key); bits < pki.MinRSAKeySize || bits > pki.MaxRSAKeySize {
			return fmt.Sprintf("an RSA key of %d bits: use %d to %d bits", bits, pki.MinRSAKeySize, pki.MaxRSAKeySize)
		}
	case *ecdsa.PublicKey:
		switch key.Curve {
		case elliptic.P256(), elliptic.P384(), elliptic.P521():
		default:
			return fmt.Sprintf("an ECDSA key on curve %s: use P-256, P-384 or P-521", key.Curve.Params().Name)
		}
	case ed25519.PublicKey:
	default:
		return "a kind of key that cannot sign certificates: use RSA, ECDSA or Ed25519"
	}
	return ""
}

// rsaBits rounds up to whole bytes, as cert-manager does when it compares sizes.
func rsaBits(key *rsa.PublicKey) int {
	return key.Size() * 8
}

func unusableKey(format string, args ...any) *Error {
	return failure(ReasonUnusableKey, format, args...)
}
