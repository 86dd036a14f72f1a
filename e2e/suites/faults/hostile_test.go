// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"bytes"
	"cmp"
	"context"
	"crypto"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	cmutil "github.com/cert-manager/cert-manager/pkg/api/util"
	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/certmanager"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/environment"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/issuer"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/process"
)

// hostileText is valid in an object, but must be escaped in output.
const hostileText = "100%d%s%n\u202egnirts\u2028\x1b[31m\x00\ufeff{detail}{kind}"

// poisonedObjects are objects that could crash, block or mislead selfsigned-issuer, with their
// expected outcomes.
var poisonedObjects = []struct {
	name   string
	spoil  func(t *testing.T, r *tracked, request *cmapi.CertificateRequest)
	reason string
	says   string
}{
	{"huge annotations", func(_ *testing.T, _ *tracked, request *cmapi.CertificateRequest) {
		request.Annotations["example.com/huge"] = strings.Repeat("%d", 100<<10)
	}, "Issued", ""},
	{"huge name of a Secret", func(_ *testing.T, _ *tracked, request *cmapi.CertificateRequest) {
		request.Annotations[cmapi.CertificateRequestPrivateKeyAnnotationKey] = strings.Repeat("a", 200<<10)
	}, "Pending", waitsForSecret.mention},
	{"path as name of a Secret", func(_ *testing.T, _ *tracked, request *cmapi.CertificateRequest) {
		request.Annotations[cmapi.CertificateRequestPrivateKeyAnnotationKey] = "../../default/secrets/key?x=%2e%2e"
	}, "Pending", waitsForSecret.mention},
	{"hostile name of a Secret", func(_ *testing.T, _ *tracked, request *cmapi.CertificateRequest) {
		request.Annotations[cmapi.CertificateRequestPrivateKeyAnnotationKey] = hostileText
	}, "Pending", "100%d%s%n"},
	{"hostile name of an issuer", func(_ *testing.T, _ *tracked, request *cmapi.CertificateRequest) {
		request.Spec.IssuerRef.Name = hostileText
	}, "Pending", "100%d%s%n"},
	{"huge name of an issuer", func(_ *testing.T, _ *tracked, request *cmapi.CertificateRequest) {
		request.Spec.IssuerRef.Name = strings.Repeat("ä%", 100<<10)
	}, "Pending", waitsForIssuer.mention},
	{"1 MiB key", withKey(func(_ *testing.T, _ crypto.Signer) []byte {
		return bytes.Repeat([]byte("-----BEGIN "), (1<<20-4096)/11)
	}), "Pending", "13000"},
	{"1 MiB beside the key", func(_ *testing.T, r *tracked, _ *cmapi.CertificateRequest) {
		r.secret.Data["huge"] = make([]byte, 1<<20-4096)
	}, "Issued", ""},
	{"RSA key of 16384 bits", withKey(func(t *testing.T, _ crypto.Signer) []byte { return hugeRSA(t) }),
		"Pending", "16384 bits"},
	{"request for an RSA key of 16384 bits", func(t *testing.T, _ *tracked, request *cmapi.CertificateRequest) {
		request.Spec.Request = hugeCSR(t)
	}, "Failed", "16384 bits"},
	{"P-224 key", withKey(func(t *testing.T, _ crypto.Signer) []byte { return encodeKey(t, newECDSA(t, elliptic.P224())) }),
		"Pending", "P-224"},
	{"request for a P-224 key", func(t *testing.T, _ *tracked, request *cmapi.CertificateRequest) {
		request.Spec.Request = encodeCSR(t, newECDSA(t, elliptic.P224()), "example.com")
	}, "Failed", "P-224"},
	{"encrypted PEM", withKey(func(t *testing.T, key crypto.Signer) []byte {
		block, _ := pem.Decode(encodeKey(t, key))
		block.Headers = map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-256-CBC,00"}
		return pem.EncodeToMemory(block)
	}), "Pending", "encrypted"},
	{"several PEM blocks", withKey(func(t *testing.T, key crypto.Signer) []byte {
		return append(encodeKey(t, newKey(t)), encodeKey(t, key)...)
	}), "Pending", "PEM blocks"},
	{"EC parameters before the key", withKey(func(t *testing.T, key crypto.Signer) []byte {
		parameters := pem.EncodeToMemory(&pem.Block{Type: "EC PARAMETERS", Bytes: []byte{6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7}})
		return append(parameters, encodeKey(t, key)...)
	}), "Issued", ""},
	{"CRLF", withKey(func(t *testing.T, key crypto.Signer) []byte {
		return bytes.ReplaceAll(encodeKey(t, key), []byte("\n"), []byte("\r\n"))
	}), "Issued", ""},
	{"NUL bytes", withKey(func(t *testing.T, key crypto.Signer) []byte {
		return append(encodeKey(t, key), 0)
	}), "Pending", "NUL"},
	{"damaged key", withKey(func(t *testing.T, key crypto.Signer) []byte {
		block, _ := pem.Decode(encodeKey(t, key))
		block.Bytes = block.Bytes[:len(block.Bytes)-20]
		return pem.EncodeToMemory(block)
	}), "Pending", "damaged"},
	{"1 MiB request", func(_ *testing.T, _ *tracked, request *cmapi.CertificateRequest) {
		request.Spec.Request = bytes.Repeat([]byte("-----BEGIN CERTIFICATE REQUEST-----\n"), 20_000)
	}, "Failed", "36500"},
	{"hostile usage", func(_ *testing.T, _ *tracked, request *cmapi.CertificateRequest) {
		request.Spec.Usages = []cmapi.KeyUsage{hostileText}
	}, "", ""}, // the schema rejects it
}

func withKey(data func(*testing.T, crypto.Signer) []byte) func(*testing.T, *tracked, *cmapi.CertificateRequest) {
	return func(t *testing.T, r *tracked, _ *cmapi.CertificateRequest) { r.secret.Data["tls.key"] = data(t, r.key) }
}

// TestPoisonedObjects creates each poisoned object three times, while a neighbor creates ordinary
// requests, which may take one second longer than without them. In `make test`, with the race
// detector and parallel tests, it is once, and the limit is ten seconds.
func TestPoisonedObjects(t *testing.T) {
	p := startReady(t, env.Installation)
	quiet := watchNeighbor(t)
	quiet.requestEvery(t, 20, 50*time.Millisecond)
	slowest := quiet.slowest(t)
	before := consumed(t, p)

	poisoned := newPoisoned(t)
	neighbor := watchNeighbor(t)
	begin := time.Now()
	created := make(chan error, 1)
	go func() { created <- poisoned.create(t.Context(), 0) }()
	neighbor.requestEvery(t, 40, 50*time.Millisecond)
	expect.NoError(t, <-created)
	checkPoisoned(t, poisoned)
	t.Logf("%d poisoned requests have their outcome after %s", len(poisoned.tracked), time.Since(begin))
	disturbed := neighbor.slowest(t)
	after := consumed(t, p)
	worked := after.CPU - before.CPU
	t.Logf("slowest request of the neighbor: %s without poisoned objects, %s with them; all finished after %s", slowest, disturbed, worked)
	// A busy machine and the race detector need CPU time.
	limit := 10 * time.Second
	if full() {
		limit = time.Second
	}
	if delay := disturbed - slowest; delay > limit {
		t.Errorf("a request of the neighbor took %s longer, want at most %s", delay, limit)
	}
	t.Logf("peak memory: %d MiB before, %d MiB after", before.PeakRSS>>20, after.PeakRSS>>20)
	if slack := memorySlack() * (1 << 20) * raceFactor(); float64(after.PeakRSS-before.PeakRSS) > slack {
		t.Error("poisoned objects used too much memory")
	}
}

// newPoisoned returns the requests for each poisoned object, in a namespace without
// cert-manager's webhook, which would reject some.
func newPoisoned(t *testing.T) *burst {
	t.Helper()
	b := newNamespace(t, certmanager.DisableValidationLabel)
	for i := range sized(3, 1) * len(poisonedObjects) {
		poison := poisonedObjects[i%len(poisonedObjects)]
		if poison.reason == "" {
			continue
		}
		r := b.newSigned(t, i)
		request := r.object.(*cmapi.CertificateRequest)
		poison.spoil(t, r, request)
		b.tracked = append(b.tracked, r)
	}
	return b
}

func checkPoisoned(t *testing.T, b *burst) {
	t.Helper()
	for _, r := range b.tracked {
		poison := poisonedObjects[r.index%len(poisonedObjects)]
		request := &cmapi.CertificateRequest{}
		var got cmapi.CertificateRequestCondition
		err := expect.Poll(t.Context(), timeout, func(context.Context) error {
			if err := env.Client.Get(t.Context(), client.ObjectKeyFromObject(r.object), request); err != nil {
				return err
			}
			got = *cmp.Or(cmutil.GetCertificateRequestCondition(request, cmapi.CertificateRequestConditionReady), &cmapi.CertificateRequestCondition{})
			if got.Reason != poison.reason || !strings.Contains(got.Message, poison.says) {
				return fmt.Errorf("got %s: %.500s, want %s: …%s…", got.Reason, got.Message, poison.reason, poison.says)
			}
			return nil
		})
		expect.True(t, err == nil, "%s: %v", poison.name, err)
		if !utf8.ValidString(got.Message) || len(got.Message) > 2048 || strings.ContainsFunc(got.Message, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("%s: not printable: %q", poison.name, got.Message)
		}
	}
}

// TestSchemaRefusesPoison expects that the schema rejects objects without an outcome.
func TestSchemaRefusesPoison(t *testing.T) {
	b := newNamespace(t, certmanager.DisableValidationLabel)
	for i, poison := range poisonedObjects {
		if poison.reason != "" {
			continue
		}
		r := b.newSigned(t, i)
		poison.spoil(t, r, r.object.(*cmapi.CertificateRequest))
		if err := env.Client.Create(t.Context(), r.object); err == nil {
			t.Errorf("%s was accepted", poison.name)
		}
	}
}

// raceFactor is how much more memory is used with the race detector.
func raceFactor() float64 {
	if raceDetector() {
		return 4
	}
	return 1
}

func consumed(t *testing.T, p *issuer.Replica) process.Usage {
	t.Helper()
	usage, err := p.Usage()
	expect.NoError(t, err)
	return usage
}

// neighbor creates ordinary requests, and measures the time from approval to certificate.
type neighbor struct {
	*burst
	took chan time.Duration
}

func watchNeighbor(t *testing.T) *neighbor {
	t.Helper()
	n := &neighbor{newNamespace(t), make(chan time.Duration, 1000)}
	n.awaitIssuer(t)
	c, err := environment.Client(env.ControlPlane.AdminConfig())
	expect.NoError(t, err)
	watcher, err := c.Watch(t.Context(), &cmapi.CertificateRequestList{}, client.InNamespace(n.namespace))
	expect.NoError(t, err)
	t.Cleanup(watcher.Stop)
	go func() {
		approved := map[string]time.Time{}
		for event := range watcher.ResultChan() {
			request, ok := event.Object.(*cmapi.CertificateRequest)
			if !ok {
				continue
			}
			if _, seen := approved[request.Name]; !seen && len(request.Status.Conditions) > 0 {
				approved[request.Name] = time.Now()
			}
			if len(request.Status.Certificate) > 0 {
				n.took <- time.Since(approved[request.Name])
			}
		}
	}()
	return n
}

func (n *neighbor) requestEvery(t *testing.T, count int, interval time.Duration) {
	t.Helper()
	for i := range count {
		n.tracked = append(n.tracked, n.newSigned(t, i))
	}
	expect.NoError(t, n.create(t.Context(), time.Duration(count)*interval))
}

func (n *neighbor) slowest(t *testing.T) time.Duration {
	t.Helper()
	var all []time.Duration
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	for range n.tracked {
		select {
		case took := <-n.took:
			all = append(all, took)
		case <-ctx.Done():
			t.Fatal("a neighbor's request was not signed")
		}
	}
	return slices.Max(all)
}

// hugeCSR has a public key of 16384 bits and no signature: the key must be rejected before the
// signature is checked.
func hugeCSR(t *testing.T) []byte {
	t.Helper()
	n := new(big.Int).Lsh(big.NewInt(1), 16384-1)
	public, err := x509.MarshalPKIXPublicKey(&rsa.PublicKey{N: n.SetBit(n, 0, 1), E: 65537})
	expect.NoError(t, err)
	type info struct { // CertificationRequestInfo of RFC 2986
		Version            int
		Subject, PublicKey asn1.RawValue
		Attributes         []asn1.RawValue `asn1:"tag:0"`
	}
	der, err := asn1.Marshal(struct {
		Info      info
		Algorithm pkix.AlgorithmIdentifier
		Signature asn1.BitString
	}{
		info{0, asn1.RawValue{FullBytes: []byte{0x30, 0}}, asn1.RawValue{FullBytes: public}, nil},
		pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11}, Parameters: asn1.NullRawValue},
		asn1.BitString{Bytes: make([]byte, 16384/8), BitLength: 16384},
	})
	expect.NoError(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
}

// hugeRSA returns a private key of 16384 bits, with factors that are odd but not prime.
func hugeRSA(t *testing.T) []byte {
	t.Helper()
	one, e := big.NewInt(1), big.NewInt(65537)
	odd := func() *big.Int {
		n, err := rand.Int(rand.Reader, new(big.Int).Lsh(one, 16384/2))
		expect.NoError(t, err)
		return n.SetBit(n, 0, 1).SetBit(n, 16384/2-1, 1).SetBit(n, 16384/2-2, 1)
	}
	for {
		p, q := odd(), odd()
		p1, q1 := new(big.Int).Sub(p, one), new(big.Int).Sub(q, one)
		d, inverse := new(big.Int).ModInverse(e, new(big.Int).Mul(p1, q1)), new(big.Int).ModInverse(q, p)
		if d == nil || inverse == nil {
			continue
		}
		der, err := asn1.Marshal(struct {
			Version                     int
			N, E, D, P, Q, DP, DQ, QInv *big.Int
		}{0, new(big.Int).Mul(p, q), e, d, p, q, new(big.Int).Mod(d, p1), new(big.Int).Mod(d, q1), inverse})
		expect.NoError(t, err)
		return pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: der})
	}
}
