// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package signer

import (
	"bytes"
	"cmp"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/pem"
	"fmt"
	"strings"

	"github.com/cert-manager/cert-manager/pkg/util/pki"
)

// ParsePrivateKey reads the only PEM-encoded private key in data: PKCS #8
// ("PRIVATE KEY", RFC 5958), PKCS #1 ("RSA PRIVATE KEY", RFC 8017) or SEC 1
// ("EC PRIVATE KEY", RFC 5915), not encrypted. Parameter blocks are ignored.
// It supports the keys that cert-manager can generate: RSA of 2048 to 8192 bits,
// ECDSA on P-256, P-384 or P-521, and Ed25519. Errors have ReasonUnusableKey and
// never quote the input. Time and memory are bounded for any input.
func ParsePrivateKey(data []byte, limits Limits) (crypto.Signer, error) {
	if err := limits.checkPrivateKey(data); err != nil {
		return nil, err
	}
	block, err := keyBlock(data)
	if err != nil {
		return nil, err
	}
	if err := checkLabel(block); err != nil {
		return nil, err
	}
	// cert-manager decodes the first block of its input.
	key, err := pki.DecodePrivateKeyBytes(pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: block.Bytes}))
	if err != nil {
		// The parser's error can contain bytes of the key.
		return nil, unusableKey("its PEM block is damaged, or is not an RSA, ECDSA or Ed25519 key in the format that its first line names: store the key again")
	}
	if problem := unsupported(key.Public()); problem != "" {
		return nil, unusableKey("it is %s", problem)
	}
	return key, nil
}

// keyBlock returns the only PEM block, apart from parameter blocks. With two keys,
// the choice would be a guess. A certificate chain belongs in tls.crt.
func keyBlock(data []byte) (*pem.Block, error) {
	if bytes.IndexByte(data, 0) >= 0 {
		return nil, unusableKey("it contains NUL bytes, like DER or UTF-16: store the key PEM-encoded in ASCII")
	}
	var key, parameters *pem.Block
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		switch {
		case isParameters(block):
			parameters = block
		case key != nil:
			return nil, unusableKey("it contains several PEM blocks: keep only the private key")
		default:
			key = block
		}
	}
	if key = cmp.Or(key, parameters); key == nil {
		return nil, unusableKey("it contains no PEM block: the first line must be -----BEGIN PRIVATE KEY-----, -----BEGIN RSA PRIVATE KEY----- or -----BEGIN EC PRIVATE KEY-----")
	}
	return key, nil
}

// isParameters recognizes the public domain parameters that OpenSSL writes with
// keys: "EC PARAMETERS" before the key from `openssl ecparam -genkey`, and "DH
// PARAMETERS" in files for servers. A key on a named curve contains its parameters.
func isParameters(block *pem.Block) bool {
	return strings.HasSuffix(block.Type, " PARAMETERS")
}

// checkLabel rejects a PEM block that is not an unencrypted private key.
func checkLabel(block *pem.Block) error {
	if _, encrypted := block.Headers["DEK-Info"]; encrypted || block.Type == "ENCRYPTED PRIVATE KEY" {
		return unusableKey("it is encrypted, which is not supported: store the key unencrypted")
	}
	switch block.Type {
	case "PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY":
		return nil
	case "OPENSSH PRIVATE KEY":
		return unusableKey("it has the OpenSSH format: convert it with ssh-keygen -p -m PKCS8")
	default:
		return unusableKey("its PEM block is not a private key: the type must be PRIVATE KEY, RSA PRIVATE KEY or EC PRIVATE KEY")
	}
}

// unsupported returns why a public key is not supported, as the end of a sentence;
// empty if it is. Signing with an RSA key of 16384 bits would take a second.
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
		return "a key of an unsupported type: use RSA, ECDSA or Ed25519"
	}
	return ""
}

// rsaBits rounds up to whole bytes, as cert-manager does to compare sizes.
func rsaBits(key *rsa.PublicKey) int {
	return key.Size() * 8
}

func unusableKey(format string, args ...any) *Error {
	return newError(ReasonUnusableKey, format, args...)
}
