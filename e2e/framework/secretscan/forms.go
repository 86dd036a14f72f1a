// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package secretscan

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"strconv"
	"strings"
)

// Secrets returns the private numbers of each PEM-encoded key in data.
func Secrets(data []byte) [][]byte {
	var secrets [][]byte
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			return secrets
		}
		secrets = append(secrets, numbers(parse(block.Bytes))...)
	}
}

func parse(der []byte) any {
	if key, err := x509.ParsePKCS8PrivateKey(der); err == nil {
		return key
	}
	if key, err := x509.ParseECPrivateKey(der); err == nil {
		return key
	}
	if key, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return key
	}
	return nil
}

func numbers(key any) [][]byte {
	switch key := key.(type) {
	case *ecdsa.PrivateKey:
		if raw, err := key.Bytes(); err == nil {
			return [][]byte{raw}
		}
	case ed25519.PrivateKey:
		return [][]byte{key.Seed()}
	case *rsa.PrivateKey:
		return [][]byte{key.D.Bytes(), key.Primes[0].Bytes(), key.Primes[1].Bytes(), key.Precomputed.Dp.Bytes(), key.Precomputed.Dq.Bytes()}
	}
	return nil
}

// writtenOut returns a secret in all formats in which programs print bytes.
func writtenOut(secret []byte) map[string][]string {
	hexadecimal := hex.EncodeToString(secret)
	once := inBase64(string(secret))
	var twice []string // as PEM in the JSON of a Secret
	for _, text := range once {
		twice = append(twice, inBase64(text)...)
	}
	list := make([]string, len(secret))
	for i, b := range secret {
		list[i] = strconv.Itoa(int(b))
	}
	return map[string][]string{
		"raw bytes":        {string(secret)},
		"base64 or PEM":    once,
		"PEM in base64":    twice,
		"hexadecimal":      {hexadecimal, strings.ToUpper(hexadecimal)},
		"a hex dump":       {fmt.Sprintf("% x", secret), fmt.Sprintf("% X", secret), colons("% x", secret), colons("% X", secret)},
		"a list of bytes":  {strings.Join(list, " "), strings.Join(list, ", ")},
		"a decimal number": {new(big.Int).SetBytes(secret).String()},
	}
}

func colons(format string, secret []byte) string {
	return strings.ReplaceAll(fmt.Sprintf(format, secret), " ", ":")
}

// inBase64 returns the encodings at each of the three offsets in a group of three bytes, without
// the ends, which depend on adjacent bytes.
func inBase64(text string) []string {
	var all []string
	for skip := range min(3, len(text)) {
		whole := text[skip:]
		whole = whole[:len(whole)/3*3]
		all = append(all, base64.StdEncoding.EncodeToString([]byte(whole)), base64.URLEncoding.EncodeToString([]byte(whole)))
	}
	return all
}
