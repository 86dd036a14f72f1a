// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package signer_test

import (
	"crypto/x509"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"

	"github.com/cert-manager/selfsigned-issuer/internal/docgen"
	"github.com/cert-manager/selfsigned-issuer/signer"
)

// TestGeneratedMessages compares each error and warning with testdata/messages.txt, word by word,
// and quotes them in docs/troubleshooting.md. No other test repeats a text.
func TestGeneratedMessages(t *testing.T) {
	messages := map[string]string{}
	for name, data := range unusableKeys(t) {
		_, err := signer.ParsePrivateKey(data, signer.Limits{})
		messages["key: "+name] = fmt.Sprint(err)
	}
	for name, request := range malformedRequests(t) {
		_, err := signer.Parse(request, signer.Limits{})
		messages["request: "+name] = fmt.Sprint(err)
	}
	maps.Copy(messages, refusedSignatures(t))
	maps.Copy(messages, notes(t))
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(messages)) {
		fmt.Fprintf(&text, "%s\n  %s\n", name, messages[name])
	}
	docgen.File(t, "testdata/messages.txt", text.String())
	docgen.Quotes(t, "../docs/troubleshooting.md", "signer: ", messages)
}

// refusedSignatures returns the errors of SelfSign.
func refusedSignatures(t *testing.T) map[string]string {
	t.Helper()
	sha1 := *named
	sha1.SignatureAlgorithm = x509.SHA1WithRSA
	unreadable := []byte{0x30, 0x0f, 0x31, 0x0d, 0x30, 0x0b, 6, 3, 0x55, 4, 3, 0x1c, 4, 0, 0, 0, 'a'}
	valid := encodeCSR(t, named, p256())
	messages := map[string]string{}
	for name, test := range map[string]struct {
		csr     []byte
		options signer.Options
	}{
		"unreadable subject":         {encodeCSR(t, &x509.CertificateRequest{RawSubject: unreadable}, p256()), signer.Options{}},
		"empty subject":              {encodeCSR(t, &x509.CertificateRequest{}, p256()), signer.Options{EmptySubject: signer.EmptySubjectReject}},
		"signatureAlgorithm for RSA": {valid, signer.Options{SignatureAlgorithm: "SHA256WithRSA"}},
	} {
		_, err := signer.SelfSign(parse(t, leafRequest(test.csr)), p256(), test.options, now)
		messages["sign: "+name] = fmt.Sprint(err)
	}
	_, err := signer.SelfSign(parse(t, leafRequest(valid)), p384(), signer.Options{}, now)
	messages["sign: another key"] = fmt.Sprint(err)
	_, err = signer.SelfSign(parse(t, leafRequest(encodeCSR(t, &sha1, rsa2048()))), rsa2048(), signer.Options{SignatureAlgorithm: signer.SignatureAlgorithmFromRequest}, now)
	messages["sign: request signed with SHA-1"] = fmt.Sprint(err)
	return messages
}

// notes returns the warnings of SelfSign.
func notes(t *testing.T) map[string]string {
	t.Helper()
	crlOnly := caRequest(encodeCSR(t, named, p256()))
	crlOnly.KeyUsage = x509.KeyUsageCRLSign
	sha384 := certificateRequest(t, cmapi.CertificateSpec{CommonName: "example", SignatureAlgorithm: cmapi.ECDSAWithSHA384}, p256())
	messages := map[string]string{}
	for name, test := range map[string]struct {
		request signer.Request
		options signer.Options
	}{
		"backdate":                      {leafRequest(encodeCSR(t, named, p256())), signer.Options{Backdate: 24 * time.Hour}},
		"signature algorithm":           {sha384, signer.Options{}},
		"path length of the request":    {caRequest(csrWithPathLength(t, true, new(2))), signer.Options{}},
		"maxPathLength without purpose": {crlOnly, signer.Options{MaxPathLength: new(0)}},
	} {
		_, result := selfSign(t, test.request, p256(), test.options)
		messages["note: "+name] = strings.Join(result.Warnings, " ")
	}
	return messages
}
