// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	selfsigned "github.com/cert-manager/selfsigned-issuer/api/v1alpha1"
	"github.com/cert-manager/selfsigned-issuer/e2e/lab"
	"github.com/cert-manager/selfsigned-issuer/e2e/plugin"
)

// TestWakesWithinASecond measures how long a waiting request takes from the creation of its
// Secret to its certificate, 100 times.
func TestWakesWithinASecond(t *testing.T) {
	namespace, key := newNamespace(t), newKey(t)
	const count = 100
	for i := range count {
		request := newRequest(t, namespace, key)
		request.GenerateName, request.Name = "", fmt.Sprintf("request-%d", i)
		request.Annotations[cmapi.CertificateRequestPrivateKeyAnnotationKey] = fmt.Sprintf("key-%d", i)
		create(t, request)
	}
	for i := range count {
		request := &cmapi.CertificateRequest{}
		request.Namespace, request.Name = namespace, fmt.Sprintf("request-%d", i)
		awaitReady(t, request, cmmeta.ConditionFalse, "Pending", fmt.Sprintf("Waiting for Secret %s/key-%d with the private key of this request: it does not exist. It is named by the annotation cert-manager.io/private-key-secret-name.", namespace, i))
	}
	signed := watchSigned(t, namespace)
	var took []time.Duration
	for i := range count {
		start := time.Now()
		create(t, keySecret(namespace, fmt.Sprintf("key-%d", i), map[string][]byte{"tls.key": keyPEM(t, key)}))
		select {
		case <-signed:
			took = append(took, time.Since(start))
		case <-time.After(patience):
			t.Fatalf("request-%d was not signed", i)
		}
	}
	slices.Sort(took)
	p50, p99 := took[count/2-1], took[count*99/100-1]
	t.Logf("from Secret to certificate: p50 %s, p99 %s", p50, p99)
	if p99 > time.Second {
		t.Errorf("p99 of %d is %s, want at most 1s", count, p99)
	}
}

// watchSigned sends the name of each request of a namespace once it has a certificate.
func watchSigned(t *testing.T, namespace string) <-chan string {
	t.Helper()
	c, err := lab.Client(env.Cluster.AdminConfig())
	if err != nil {
		t.Fatal(err)
	}
	watcher, err := c.Watch(t.Context(), &cmapi.CertificateRequestList{}, client.InNamespace(namespace))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(watcher.Stop)
	names := make(chan string, 1000)
	go func() {
		for event := range watcher.ResultChan() {
			if request, ok := event.Object.(*cmapi.CertificateRequest); ok && event.Type == watch.Modified && len(request.Status.Certificate) > 0 {
				names <- request.Name
			}
		}
	}()
	return names
}

// TestFinishedRequestsSleep changes a Secret that many finished requests name: nothing is
// reconciled. It must not run beside other tests, whose reconciles would count.
func TestFinishedRequestsSleep(t *testing.T) {
	namespace, key := newNamespace(t), newKey(t)
	createKeySecret(t, namespace, key)
	const finished, changes = 200, 20
	requests := make([]*cmapi.CertificateRequest, finished)
	for i := range requests {
		requests[i] = newRequest(t, namespace, key)
		create(t, requests[i])
	}
	for _, request := range requests {
		checkIssued(t, request)
	}
	before := reconciles(t)
	for i := range changes {
		secret := keySecret(namespace, "key", nil)
		get(t, secret)
		secret.Labels = map[string]string{"change": fmt.Sprint(i)}
		if err := env.Client.Update(t.Context(), secret); err != nil {
			t.Fatal(err)
		}
	}
	// The watch delivers in order: once a request that waits is woken by a later Secret, the
	// changes have been delivered as well. It is reconciled for its
	// creation, its approval and the Secret.
	waits := newRequest(t, namespace, key)
	waits.Annotations[cmapi.CertificateRequestPrivateKeyAnnotationKey] = "later"
	create(t, waits)
	awaitEventReason(t, waits, "MissingSecret")
	create(t, keySecret(namespace, "later", map[string][]byte{"tls.key": keyPEM(t, key)}))
	awaitReady(t, waits, cmmeta.ConditionTrue, "Issued", inNamespace("Signed with its own private key from Secret {ns}/later.", namespace))
	const expected = 3
	if got := reconciles(t) - before; got > expected {
		t.Errorf("%d changes of a Secret that %d finished requests name led to %v reconciles, of which at most %d were expected", changes, finished, got, expected)
	}
}

// reconciles returns how many CertificateRequests the plugin has reconciled so far.
func reconciles(t *testing.T) float64 {
	t.Helper()
	status, body := plugin.Get(t.Context(), env.Plugin.MetricsURL+"/metrics")
	if status != 200 {
		t.Fatalf("/metrics answers %d: %s", status, body)
	}
	var sum, value float64
	for line := range strings.SplitSeq(body, "\n") {
		if strings.HasPrefix(line, "controller_runtime_reconcile_total{controller=\"certificaterequest.") {
			if _, err := fmt.Sscanf(line[strings.LastIndex(line, " ")+1:], "%g", &value); err != nil {
				t.Fatal(err)
			}
			sum += value
		}
	}
	return sum
}

// TestSpecChangeTakesEffect changes an issuer: what is signed from then on follows it.
func TestSpecChangeTakesEffect(t *testing.T) {
	t.Parallel()
	namespace, key := newNamespace(t), newKey(t)
	createKeySecret(t, namespace, key)
	first := newRequest(t, namespace, key)
	create(t, first)
	checkIssued(t, first)

	points := []string{"http://example.com/a.crl", "ldap://example.com/b"}
	await(t, "changing the issuer", func(ctx context.Context) string {
		issuer := &selfsigned.SelfSignedIssuer{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "issuer"}}
		get(t, issuer)
		issuer.Spec.CRLDistributionPoints = points
		if err := env.Client.Update(ctx, issuer); err != nil {
			return err.Error()
		}
		return ""
	})
	second := newRequest(t, namespace, key)
	create(t, second)
	checkIssued(t, second)
	if got := mustParse(t, second.Status.Certificate).CRLDistributionPoints; !slices.Equal(got, points) {
		t.Errorf("CRL distribution points %q, want the issuer's %q", got, points)
	}
	before := first.ResourceVersion
	get(t, first)
	if first.ResourceVersion != before {
		t.Error("the first request was written again")
	}
}
