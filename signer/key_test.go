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
	"math/big"
	"regexp"
	"testing"
	"time"

	"github.com/cert-manager/cert-manager/pkg/util/pki"

	"github.com/cert-manager/selfsigned-issuer/signer"
)

func TestParsePrivateKey(t *testing.T) {
	for name, key := range everyKey {
		t.Run(name, func(t *testing.T) {
			for encoding, data := range encodings(t, key()) {
				got, err := signer.ParsePrivateKey(data)
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

// encodings returns the key in every form that cert-manager writes, and with
// the harmless surroundings that tools and editors leave.
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
	}
	return all
}

func TestParsePrivateKeyRefuses(t *testing.T) {
	good := encodePKCS8(t, p256())
	der, _ := pem.Decode(good)
	x25519, err := ecdh.X25519().GenerateKey(rand.Reader)
	must(err)
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	must(err)
	rsa1024, err := rsa.GenerateKey(rand.Reader, 1024)
	must(err)

	for name, test := range map[string]struct {
		data []byte
		want string
	}{
		"nothing":              {nil, "no PEM block"},
		"text":                 {[]byte("correct horse battery staple"), "no PEM block"},
		"cut off":              {good[:len(good)/2], "no PEM block"},
		"damaged base64":       {bytes.Replace(good, []byte("KEY-----\n"), []byte("KEY-----\n!"), 1), "no PEM block"},
		"DER":                  {der.Bytes, "NUL bytes"},
		"UTF-16":               {bytes.Join(bytes.Split(good, nil), []byte{0}), "NUL bytes"},
		"NUL at the end":       {append(bytes.Clone(good), 0), "NUL bytes"},
		"encrypted PKCS #8":    {encodePEM("ENCRYPTED PRIVATE KEY", der.Bytes), "encrypted"},
		"encrypted PEM":        {pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-256-CBC,00"}, Bytes: der.Bytes}), "encrypted"},
		"two keys":             {append(bytes.Clone(good), good...), "several PEM blocks"},
		"EC parameters first":  {append(encodePEM("EC PARAMETERS", []byte{6, 0}), good...), "several PEM blocks"},
		"key and certificate":  {append(bytes.Clone(good), encodePEM("CERTIFICATE", []byte{48, 0})...), "several PEM blocks"},
		"certificate":          {encodePEM("CERTIFICATE", der.Bytes), "not a private key"},
		"public key":           {encodePEM("PUBLIC KEY", der.Bytes), "not a private key"},
		"OpenSSH":              {encodePEM("OPENSSH PRIVATE KEY", der.Bytes), "ssh-keygen"},
		"wrong label":          {encodePEM("RSA PRIVATE KEY", der.Bytes), "damaged"},
		"damaged":              {encodePEM("PRIVATE KEY", der.Bytes[:20]), "damaged"},
		"X25519":               {encodePKCS8(t, x25519), "not an RSA, ECDSA or Ed25519 key"},
		"P-224":                {encodePKCS8(t, p224), "curve P-224: use P-256, P-384 or P-521"},
		"RSA 1024":             {encodePKCS8(t, rsa1024), "1024 bits: use 2048 to 8192 bits"},
		"RSA 16384":            {rsaOfAnySize(16384), "16384 bits: use 2048 to 8192 bits"},
		"RSA 2048, d is wrong": {inconsistentRSA(t), "damaged"},
		"huge":                 {bytes.Repeat([]byte("A"), 1<<20), "at most 13000"},
	} {
		t.Run(name, func(t *testing.T) {
			started := time.Now()
			_, err := signer.ParsePrivateKey(test.data)
			wantError(t, err, signer.ReasonUnusableKey, test.want)
			if spent := time.Since(started); spent > 5*time.Second {
				t.Errorf("took %s", spent)
			}
		})
	}
}

// TestKeySizeLimitIsCertManagers shows that the limit is the one that
// cert-manager decodes keys with, which cannot be imported.
func TestKeySizeLimitIsCertManagers(t *testing.T) {
	padded := func(size int) []byte {
		key := encodePKCS8(t, p256())
		return append(key, bytes.Repeat([]byte("\n"), size-len(key))...)
	}
	for size, accepted := range map[int]bool{13000: true, 13001: false} {
		_, theirs := pki.DecodePrivateKeyBytes(padded(size))
		_, ours := signer.ParsePrivateKey(padded(size))
		if (theirs == nil) != accepted || (ours == nil) != accepted {
			t.Errorf("%d bytes: cert-manager says %v, we say %v", size, theirs, ours)
		}
	}
}

// keyErrors are all that may be said about a damaged key. Nothing in them comes
// from the key but its size and the name of its curve.
var keyErrors = regexp.MustCompile(`^(its PEM block is damaged, or not an RSA, ECDSA or Ed25519 key in the format that its first line names: store the key again` +
	`|it is an RSA key of [0-9]+ bits: use 2048 to 8192 bits|it is an ECDSA key on curve P-224: use P-256, P-384 or P-521)$`)

// TestErrorsQuoteNoKey damages every byte of keys: the parsers of the standard
// library quote some of what they do not understand.
func TestErrorsQuoteNoKey(t *testing.T) {
	for _, name := range []string{"RSA 2048", "P-256", "Ed25519"} {
		block, _ := pem.Decode(encodePKCS8(t, everyKey[name]()))
		for i := range block.Bytes {
			der := bytes.Clone(block.Bytes)
			der[i] ^= 0xff
			if _, err := signer.ParsePrivateKey(encodePEM("PRIVATE KEY", der)); err != nil && !keyErrors.MatchString(err.Error()) {
				t.Fatalf("%s, byte %d: the error is not one of the known sentences: %v", name, i, err)
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

// rsaOfAnySize makes a key that crypto/x509 accepts, of factors that are merely
// odd: real primes of that size take minutes.
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

// oddNumber has its two highest bits set, so that a product has full length.
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
