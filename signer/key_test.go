// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package signer_test

import (
	"bytes"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"maps"
	"math/big"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/cert-manager/cert-manager/pkg/util/pki"

	"github.com/cert-manager/selfsigned-issuer/signer"
)

func TestParsePrivateKey(t *testing.T) {
	for name, key := range everyKey {
		t.Run(name, func(t *testing.T) {
			for encoding, data := range encodings(t, key()) {
				got, err := signer.ParsePrivateKey(data, signer.Limits{})
				if err != nil {
					t.Fatalf("%s: %v", encoding, err)
				}
				if !got.(interface{ Equal(crypto.PrivateKey) bool }).Equal(key()) {
					t.Errorf("%s: got another key", encoding)
				}
			}
		})
	}
}

// encodings returns the key in each format that cert-manager writes, and with harmless
// additions of tools and editors.
func encodings(t *testing.T, key crypto.Signer) map[string][]byte {
	t.Helper()
	pkcs8 := encodePKCS8(t, key)
	all := map[string][]byte{
		"PKCS #8":               pkcs8,
		"with CRLF":             bytes.ReplaceAll(pkcs8, []byte("\n"), []byte("\r\n")),
		"with text around it":   append([]byte("Key of the root\n"), append(pkcs8, "\nend\n"...)...),
		"without last line end": bytes.TrimSpace(pkcs8),
	}
	switch key := key.(type) {
	case *rsa.PrivateKey:
		all["PKCS #1"] = pki.EncodePKCS1PrivateKey(key)
	case *ecdsa.PrivateKey:
		sec1, err := pki.EncodeECPrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		all["SEC 1"] = sec1
		for name, file := range besideParameters(sec1) {
			all["SEC 1, "+name] = file
		}
	}
	maps.Copy(all, besideParameters(pkcs8))
	return all
}

// besideParameters returns a key before and after its parameters: `openssl ecparam
// -genkey` writes the parameters first.
func besideParameters(key []byte) map[string][]byte {
	curve := encodePEM("EC PARAMETERS", []byte{6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7})
	group := encodePEM("DH PARAMETERS", []byte{0x30, 6, 2, 1, 23, 2, 1, 5})
	return map[string][]byte{
		"EC parameters first":           slices.Concat(curve, key),
		"EC parameters last":            slices.Concat(key, curve),
		"EC parameters on both sides":   slices.Concat(curve, key, curve),
		"EC parameters twice":           slices.Concat(curve, curve, key),
		"EC parameters and text":        slices.Concat([]byte("ASN1 OID: prime256v1\n"), curve, []byte("Key:\n"), key),
		"EC parameters with CRLF":       bytes.ReplaceAll(slices.Concat(curve, key), []byte("\n"), []byte("\r\n")),
		"EC parameters, cut off":        slices.Concat(key, curve[:len(curve)-20]),
		"Diffie-Hellman parameters":     slices.Concat(key, group),
		"parameters of different kinds": slices.Concat(group, curve, key),
	}
}

// unusableKeys are rejected by ParsePrivateKey.
func unusableKeys(t *testing.T) map[string][]byte {
	t.Helper()
	good := encodePKCS8(t, p256())
	der, _ := pem.Decode(good)
	x25519, err := ecdh.X25519().GenerateKey(rand.Reader)
	must(err)
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	must(err)
	rsa1024, err := rsa.GenerateKey(rand.Reader, 1024)
	must(err)
	parameters := encodePEM("EC PARAMETERS", []byte{6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7})

	return map[string][]byte{
		"nothing":              nil,
		"text":                 []byte("correct horse battery staple"),
		"cut off":              good[:len(good)/2],
		"damaged base64":       bytes.Replace(good, []byte("KEY-----\n"), []byte("KEY-----\n!"), 1),
		"DER":                  der.Bytes,
		"UTF-16":               bytes.Join(bytes.Split(good, nil), []byte{0}),
		"NUL at the end":       append(bytes.Clone(good), 0),
		"encrypted PKCS #8":    encodePEM("ENCRYPTED PRIVATE KEY", der.Bytes),
		"encrypted PEM":        pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-256-CBC,00"}, Bytes: der.Bytes}),
		"two keys":             append(bytes.Clone(good), good...),
		"two keys, parameters": slices.Concat(good, parameters, good),
		"different keys":       slices.Concat(parameters, good, parameters, encodePKCS8(t, ed())),
		"key and certificate":  append(bytes.Clone(good), encodePEM("CERTIFICATE", []byte{48, 0})...),
		"certificate first":    slices.Concat(encodePEM("CERTIFICATE", []byte{48, 0}), good),
		"certificate and more": slices.Concat(parameters, encodePEM("CERTIFICATE", []byte{48, 0}), good),
		"key and public key":   slices.Concat(good, encodePEM("PUBLIC KEY", []byte{48, 0})),
		"only parameters":      parameters,
		"certificate":          encodePEM("CERTIFICATE", der.Bytes),
		"public key":           encodePEM("PUBLIC KEY", der.Bytes),
		"OpenSSH":              encodePEM("OPENSSH PRIVATE KEY", der.Bytes),
		"wrong label":          encodePEM("RSA PRIVATE KEY", der.Bytes),
		"damaged":              encodePEM("PRIVATE KEY", der.Bytes[:20]),
		"X25519":               encodePKCS8(t, x25519),
		"P-224":                encodePKCS8(t, p224),
		"RSA 1024":             encodePKCS8(t, rsa1024),
		"RSA 16384":            rsaOfAnySize(16384),
		"RSA 2048, d is wrong": inconsistentRSA(t),
		"huge":                 bytes.Repeat([]byte("A"), 1<<20),
	}
}

// TestParsePrivateKeyRefuses: any content of a Secret costs little. TestGeneratedMessages
// compares the texts.
func TestParsePrivateKeyRefuses(t *testing.T) {
	for name, data := range unusableKeys(t) {
		t.Run(name, func(t *testing.T) {
			started := time.Now()
			_, err := signer.ParsePrivateKey(data, signer.Limits{})
			wantError(t, err, signer.ReasonUnusableKey)
			if spent := time.Since(started); spent > 5*time.Second {
				t.Errorf("took %s", spent)
			}
		})
	}
}

// keyErrors are the allowed errors for a damaged key. They contain only the size of the
// key and the name of its curve.
var keyErrors = regexp.MustCompile(`^(its PEM block is damaged, or is not an RSA, ECDSA or Ed25519 key in the format that its first line names: store the key again` +
	`|it is an RSA key of [0-9]+ bits: use 2048 to 8192 bits|it is an ECDSA key on curve P-224: use P-256, P-384 or P-521)$`)

// TestErrorsQuoteNoKey damages each byte of keys: the parsers of the standard library
// quote some of their input.
func TestErrorsQuoteNoKey(t *testing.T) {
	for _, name := range []string{"RSA 2048", "P-256", "Ed25519"} {
		block, _ := pem.Decode(encodePKCS8(t, everyKey[name]()))
		for i := range block.Bytes {
			der := bytes.Clone(block.Bytes)
			der[i] ^= 0xff
			if _, err := signer.ParsePrivateKey(encodePEM("PRIVATE KEY", der), signer.Limits{}); err != nil && !keyErrors.MatchString(err.Error()) {
				t.Fatalf("%s, byte %d: the error is not allowed: %v", name, i, err)
			}
		}
	}
}

// pkcs1 is RSAPrivateKey of RFC 8017 appendix A.1.2.
type pkcs1 struct {
	Version                   int
	N                         *big.Int
	E                         int
	D, P, Q, DP, DQ, QInverse *big.Int
}

// rsaOfAnySize returns a key that crypto/x509 accepts, with factors that are only odd:
// primes of this size take minutes.
func rsaOfAnySize(bits int) []byte {
	one, e := big.NewInt(1), big.NewInt(65537)
	for {
		p, q := oddNumber(bits/2), oddNumber(bits/2)
		p1, q1 := new(big.Int).Sub(p, one), new(big.Int).Sub(q, one)
		lambda := new(big.Int).Div(new(big.Int).Mul(p1, q1), new(big.Int).GCD(nil, nil, p1, q1))
		d, inverse := new(big.Int).ModInverse(e, lambda), new(big.Int).ModInverse(q, p)
		if d == nil || inverse == nil {
			continue
		}
		der, err := asn1.Marshal(pkcs1{
			N: new(big.Int).Mul(p, q), E: 65537, D: d, P: p, Q: q,
			DP: new(big.Int).Mod(d, p1), DQ: new(big.Int).Mod(d, q1), QInverse: inverse,
		})
		must(err)
		return encodePEM("RSA PRIVATE KEY", der)
	}
}

// oddNumber has its two highest bits set, so that the product has full length.
func oddNumber(bits int) *big.Int {
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), uint(bits)))
	must(err)
	return n.SetBit(n, 0, 1).SetBit(n, bits-1, 1).SetBit(n, bits-2, 1)
}

func inconsistentRSA(t *testing.T) []byte {
	t.Helper()
	var key pkcs1
	if _, err := asn1.Unmarshal(x509.MarshalPKCS1PrivateKey(rsa2048().(*rsa.PrivateKey)), &key); err != nil {
		t.Fatal(err)
	}
	key.D.Add(key.D, big.NewInt(2))
	der, err := asn1.Marshal(key)
	must(err)
	return encodePEM("RSA PRIVATE KEY", der)
}
