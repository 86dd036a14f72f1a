// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package experiments

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	cmutil "github.com/cert-manager/cert-manager/pkg/api/util"
	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/cert-manager/selfsigned-issuer/e2e/tools/bench/report"
)

const foreign = "foreign" // the namespace

// measureStart measures a contestant from its start until it has received everything, and then changes
// objects.
func (b *bench) measureStart(ctx context.Context, e experiment, c contestant) (values map[string]float64, err error) {
	s, err := c.start(ctx, nil)
	if s.stop != nil {
		defer func() { err = errors.Join(err, s.stop()) }()
	}
	if err != nil {
		return nil, err
	}
	values = map[string]float64{report.Start: time.Since(s.started).Seconds()}
	received := func() (float64, error) {
		usage, err := s.process.Usage()
		values[report.PeakRSS] = float64(usage.PeakRSS) / (1 << 20)
		return float64(usage.Read), err
	}
	const leaseRenewals = 4 << 10 // more than they receive in a second
	atStart, err := awaitQuiet(ctx, leaseRenewals, received)
	if err != nil {
		return nil, err
	}
	changes := min(e.finished, 100)
	patch := client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"metadata":{"annotations":{"changed":"%d"}}}`, time.Now().UnixNano()))
	err = concurrently(ctx, changes, 0, func(ctx context.Context, i int) error {
		meta := metav1.ObjectMeta{Namespace: foreign, Name: name(i)}
		return errors.Join(b.Client.Patch(ctx, &cmapi.CertificateRequest{ObjectMeta: meta}, patch),
			b.Client.Patch(ctx, &corev1.Secret{ObjectMeta: meta}, patch))
	})
	if err != nil {
		return nil, err
	}
	total, err := awaitQuiet(ctx, leaseRenewals, received)
	values[report.Received], values[report.PerChange] = atStart/(1<<20), (total-atStart)/float64(2*changes)/(1<<10)
	return values, err
}

// fill replaces all objects, and restarts the API server, which reads them from etcd.
func (b *bench) fill(ctx context.Context, n int, issuerRef cmmeta.IssuerReference) error {
	b.Report.Printf("creating %d finished requests for %s, and as many Secrets", n, issuerRef.Group)
	if err := b.Client.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: foreign}}); client.IgnoreAlreadyExists(err) != nil {
		return err
	}
	request := b.newRequest(foreign, 0, issuerRef)
	approve(request)
	issue(request, slices.Concat(b.certificate, b.certificate, b.certificate)) // as large as a chain with RSA keys
	secret := b.newSecret(foreign, 0)
	secret.Labels, secret.Data["content"] = nil, make([]byte, 8<<10)
	_, _ = rand.Read(secret.Data["content"]) // never fails; like the content of many Secrets, it cannot be compressed
	return inOrder(ctx,
		func(context.Context) error { return b.deleteAll(foreign) },
		func(ctx context.Context) error { return b.createRequests(ctx, n, request) },
		func(ctx context.Context) error { return b.createSecrets(ctx, n, secret) },
		b.ControlPlane.RestartAPIServer,
		func(ctx context.Context) error { // until its caches are filled
			_, err := awaitQuiet(ctx, 0.2, func() (float64, error) {
				usage, err := b.ControlPlane.APIServer().Usage()
				return usage.CPU.Seconds(), err
			})
			return err
		})
}

// contents are the same in all requests and their Secrets.
type contents struct{ key, csr, certificate []byte }

func newContents() (contents, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return contents{}, err
	}
	keyDER, keyErr := x509.MarshalPKCS8PrivateKey(key)
	template := &x509.CertificateRequest{Subject: pkix.Name{CommonName: "example.com"}, DNSNames: []string{"example.com", "www.example.com"}}
	csrDER, csrErr := x509.CreateCertificateRequest(rand.Reader, template, key)
	return contents{
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}),
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: csrDER}),
		bytes.Repeat([]byte("certificate"), 70), // it has the size of one, and is not parsed
	}, errors.Join(keyErr, csrErr)
}

func name(i int) string { return fmt.Sprintf("request-%06d", i) }

// newSecret returns a Secret with the labels that cert-manager sets.
func (b *bench) newSecret(namespace string, i int) *corev1.Secret {
	labels := map[string]string{cmapi.PartOfCertManagerControllerLabelKey: "true", cmapi.IsNextPrivateKeySecretLabelKey: "true"}
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name(i), Labels: labels},
		Data:       map[string][]byte{corev1.TLSPrivateKeyKey: b.key},
	}
}

func (b *bench) newRequest(namespace string, i int, issuerRef cmmeta.IssuerReference) *cmapi.CertificateRequest {
	request := &cmapi.CertificateRequest{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name(i)}}
	request.Annotations = map[string]string{cmapi.CertificateRequestPrivateKeyAnnotationKey: name(i)}
	request.Spec = cmapi.CertificateRequestSpec{Request: b.csr, IssuerRef: issuerRef}
	return request
}

func approve(request *cmapi.CertificateRequest) {
	cmutil.SetCertificateRequestCondition(request, cmapi.CertificateRequestConditionApproved,
		cmmeta.ConditionTrue, "benchmark", "Approved by the benchmark.")
}

// issue sets the status of a finished request.
func issue(request *cmapi.CertificateRequest, certificate []byte) {
	request.Status.Certificate, request.Status.CA = certificate, certificate
	cmutil.SetCertificateRequestCondition(request, cmapi.CertificateRequestConditionReady, cmmeta.ConditionTrue,
		cmapi.CertificateRequestReasonIssued, "Certificate issued, signed with the private key in Secret "+request.Name+".")
}

// The keys of objects in etcd.
const (
	requestKeys = "/registry/cert-manager.io/certificaterequests/"
	secretKeys  = "/registry/secrets/"
	eventKeys   = "/registry/events/"
)

// pair is a key with its value, in base64 in JSON.
type pair struct {
	Key   []byte `json:"key"`
	Value []byte `json:"value,omitempty"`
}

// createRequests creates n copies of a request with its status.
func (b *bench) createRequests(ctx context.Context, n int, first *cmapi.CertificateRequest) error {
	status := first.Status
	if err := b.Client.Create(ctx, first); err != nil {
		return err
	}
	first.Status = status
	return errors.Join(b.Client.Status().Update(ctx, first), b.copy(ctx, n, requestKeys, first))
}

func (b *bench) createSecrets(ctx context.Context, n int, first *corev1.Secret) error {
	return errors.Join(b.Client.Create(ctx, first), b.copy(ctx, n, secretKeys, first))
}

// copy writes copies of what the API server stores of the first object to etcd: to create many objects
// through the API server takes minutes. Names and UIDs have a fixed length, so that they can also be
// replaced in Protocol Buffers.
func (b *bench) copy(ctx context.Context, n int, keys string, first client.Object) error {
	key, uid := keys+client.ObjectKeyFromObject(first).String(), string(first.GetUID())
	stored, err := b.etcd("range", pair{Key: []byte(key)})
	if err != nil || len(stored) != 1 {
		return errors.Join(err, errors.New("etcd has no "+key))
	}
	for i := 1; i < n; {
		var puts []any
		for ; i < n && len(puts) < 64; i++ { // a transaction has at most 1.5 MiB
			replacer := strings.NewReplacer(name(0), name(i), uid, uid[:28]+fmt.Sprintf("%08x", i))
			copied := pair{[]byte(replacer.Replace(key)), []byte(replacer.Replace(string(stored[0].Value)))}
			puts = append(puts, map[string]any{"request_put": copied})
		}
		if _, err := b.etcd("txn", map[string]any{"success": puts}); err != nil {
			return err
		}
	}
	// The API server's cache receives the copies in this order.
	last := client.ObjectKey{Namespace: first.GetNamespace(), Name: name(n - 1)}
	return wait.PollUntilContextCancel(ctx, 10*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		err := b.Client.Get(ctx, last, first, fromWatchCache)
		return err == nil, client.IgnoreNotFound(err)
	})
}

// deleteAll deletes all requests, Secrets and events in a namespace.
func (b *bench) deleteAll(namespace string) error {
	for _, keys := range []string{requestKeys, secretKeys, eventKeys} {
		from := keys + namespace + "/"
		for i := 10_000; i <= 100_000; i += 10_000 { // etcd cannot delete 100,000 objects at once
			to := keys + namespace + "/" + name(i)
			if i == 100_000 {
				to = keys + namespace + "0" // "0" follows "/"
			}
			if _, err := b.etcd("deleterange", map[string][]byte{"key": []byte(from), "range_end": []byte(to)}); err != nil {
				return err
			}
			from = to
		}
	}
	return nil
}

// etcd calls a method of the JSON gateway of etcd.
func (b *bench) etcd(method string, arguments any) ([]pair, error) {
	body, err := json.Marshal(arguments)
	if err != nil {
		return nil, err
	}
	client := b.ControlPlane.EtcdClient()
	defer client.CloseIdleConnections()
	response, err := client.Post("http://etcd/v3/kv/"+method, "application/json", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	var result struct{ Kvs []pair }
	err = json.NewDecoder(response.Body).Decode(&result)
	if response.StatusCode != http.StatusOK {
		err = errors.Join(err, errors.New("etcd: "+response.Status))
	}
	return result.Kvs, err
}
