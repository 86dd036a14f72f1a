// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"

	selfsigned "github.com/cert-manager/selfsigned-issuer/api/v1alpha1"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/certmanager"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/issuer"
)

// The container's limit of 256 Mi also includes memory of the kernel.
const maxResident = 200 << 20

// maxNeighborDelay is how long a request of a neighbor may take while a tenant misbehaves. The race
// detector and parallel tests need CPU time.
func maxNeighborDelay() time.Duration {
	if raceDetector() {
		return time.Minute
	}
	return 2 * time.Second
}

// sized returns the size of an experiment: whole for `make test-faults`, small for `make test`.
func sized(whole, small int) int {
	if full() {
		return whole
	}
	return small
}

// checkBounded fails if the process has ended or has used too much memory.
func checkBounded(t *testing.T, p *issuer.Replica) {
	t.Helper()
	expect.NoError(t, p.Err())
	peak := consumed(t, p).PeakRSS
	t.Logf("peak resident memory of %s: %d MiB", p.Name(), peak>>20)
	if limit := int64(maxResident * raceFactor()); peak > limit {
		t.Errorf("peak resident memory %d MiB, want at most %d MiB", peak>>20, limit>>20)
	}
}

// meanwhile runs misbehave, and fails if a request of a neighbor takes too long during it or after it.
func meanwhile(t *testing.T, misbehave func(ctx context.Context) error) {
	t.Helper()
	neighbor := watchNeighbor(t)
	done := make(chan error, 1)
	go func() { done <- misbehave(t.Context()) }()
	var delays []time.Duration
	for over := false; !over; {
		select {
		case err := <-done:
			expect.NoError(t, err)
			over = true
		default:
		}
		neighbor.tracked = []*tracked{neighbor.newSigned(t, len(delays))}
		expect.NoError(t, neighbor.create(t.Context(), 0))
		delays = append(delays, neighbor.slowest(t))
	}
	slices.Sort(delays)
	slowest := delays[len(delays)-1]
	t.Logf("%d requests of a neighbor: median %s, slowest %s", len(delays), delays[len(delays)/2], slowest)
	expect.True(t, slowest <= maxNeighborDelay(), "a neighbor's request took %s, want at most %s", slowest, maxNeighborDelay())
}

// TestHugeRequests fills the cache with requests of 1.4 MB: some that are not approved, and some
// that wait for their Secret.
func TestHugeRequests(t *testing.T) {
	t.Run("unapproved", func(t *testing.T) { hugeRequests(t, sized(300, 8)) })
	// Fewer are needed, because the cache keeps a limited part of approved requests.
	t.Run("approved", func(t *testing.T) { hugeRequests(t, sized(60, 8), certmanager.DisableValidationLabel) })
}

func hugeRequests(t *testing.T, count int, labels ...string) {
	t.Helper()
	p := startReady(t, env.Installation)
	keepClusterIssuersUnapproved(t)
	b := newNamespace(t, labels...)
	meanwhile(t, func(ctx context.Context) error {
		for i := range count { // in sequence, to limit the load of the API server
			r := b.newSigned(t, i)
			r.secret = nil
			request := r.object.(*cmapi.CertificateRequest)
			request.Spec.IssuerRef = cmmeta.IssuerReference{Group: selfsigned.GroupName, Kind: "ClusterSelfSignedIssuer", Name: clusterIssuer}
			fillMetadata(request)
			if err := r.create(ctx); err != nil {
				return err
			}
		}
		return nil
	})
	checkBounded(t, p)

	// At the next start, all are listed.
	kill(t, p)
	loseLease(t)
	p = startReady(t, env.Installation)
	meanwhile(t, func(context.Context) error { return nil })
	checkBounded(t, p)
}

// fillMetadata makes an object as large as etcd allows, with labels and annotations.
func fillMetadata(object client.Object) {
	object.GetAnnotations()["example.com/padding"] = strings.Repeat("a", 250<<10)
	labels := map[string]string{}
	for i := range 3_000 { // of the maximum length, because many labels are slow for the API server
		labels[fmt.Sprintf("%sexample.com/%063d", strings.Repeat("padding.", 30), i)] = strings.Repeat("b", 63)
	}
	object.SetLabels(labels)
}

// keepClusterIssuersUnapproved removes cert-manager's permission to approve requests for
// ClusterSelfSignedIssuers until the test ends.
func keepClusterIssuersUnapproved(t *testing.T) {
	t.Helper()
	set := func(ctx context.Context, names []string) error {
		return expect.Poll(ctx, timeout, func(ctx context.Context) error {
			role := &rbacv1.ClusterRole{}
			role.Name = "cert-manager-controller-approve:selfsigned-cert-manager-io"
			if err := env.Client.Get(ctx, client.ObjectKeyFromObject(role), role); err != nil {
				return err
			}
			role.Rules[0].ResourceNames = names
			return env.Client.Update(ctx, role)
		})
	}
	namespaced, cluster := "selfsignedissuers."+selfsigned.GroupName+"/*", "clusterselfsignedissuers."+selfsigned.GroupName+"/*"
	expect.NoError(t, set(t.Context(), []string{namespaced}))
	t.Cleanup(func() {
		if err := set(context.Background(), []string{namespaced, cluster}); err != nil {
			t.Error(err)
		}
	})
}

// TestLargeSecretWakesMany has many requests wait for one Secret of 1 MiB with another key, and
// repeatedly triggers all of them at once.
func TestLargeSecretWakesMany(t *testing.T) {
	p := startReady(t, env.Installation)
	b := newNamespace(t)
	secret := b.shareSecret(t, sized(200, 20))
	secret.Data["padding"] = make([]byte, 1<<20-8<<10)
	expect.NoError(t, b.create(t.Context(), 0))
	meanwhile(t, func(ctx context.Context) error {
		for i := range sized(20, 5) {
			secret.Annotations = map[string]string{"wake": fmt.Sprint(i)}
			if err := env.Client.Update(ctx, secret.DeepCopy()); err != nil {
				return err
			}
			sleepUntil(ctx, time.Now().Add(time.Second))
		}
		return nil
	})
	checkBounded(t, p)
}

// TestFlappingSecret toggles the Secret of many requests ten times a second.
func TestFlappingSecret(t *testing.T) {
	p := startReady(t, env.Installation)
	b := newNamespace(t)
	secret := b.shareSecret(t, sized(1000, 50))
	expect.NoError(t, b.create(t.Context(), 0))
	toggles := 10 * sized(60, 5)
	meanwhile(t, func(ctx context.Context) error {
		begin := time.Now()
		for i := range toggles {
			secret.Data["tls.key"] = []byte(strings.Repeat("junk", i%2))
			if err := env.Client.Update(ctx, secret.DeepCopy()); err != nil {
				return err
			}
			sleepUntil(ctx, begin.Add(time.Duration(i)*100*time.Millisecond))
		}
		return nil
	})
	checkBounded(t, p)

	// No change is missed: the correct key signs all of them.
	secret.Data["tls.key"] = encodeKey(t, pooledKey(t, 0))
	expect.NoError(t, env.Client.Update(t.Context(), secret.DeepCopy()))
	for _, r := range b.tracked {
		r.want = issued
	}
	t.Logf("all are signed %s after the correct key", b.settle(t))
}

// shareSecret adds requests that all wait for one Secret without a usable key.
func (b *burst) shareSecret(t *testing.T, count int) *corev1.Secret {
	t.Helper()
	key := pooledKey(t, 0)
	for i := range count {
		r := b.newSigned(t, i)
		r.key, r.secret, r.want = key, nil, waitsForUsableKey
		request := r.object.(*cmapi.CertificateRequest)
		request.Annotations[cmapi.CertificateRequestPrivateKeyAnnotationKey] = "shared"
		request.Spec.Request = encodeCSR(t, key, r.name)
		b.tracked = append(b.tracked, r)
	}
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: b.namespace, Name: "shared", Labels: watched()},
		Data:       map[string][]byte{"tls.key": []byte("junk")},
	}
	expect.NoError(t, createOnce(t.Context(), secret))
	return secret
}

// TestStandbyBesideChurn creates and deletes requests while a replica is a standby.
func TestStandbyBesideChurn(t *testing.T) {
	startReady(t, env.Installation)
	standby := startReady(t, env.Installation)
	b := newNamespace(t, certmanager.DisableValidationLabel) // to limit the load of the API server
	template := b.newSigned(t, 0)
	before := consumed(t, standby)
	count := sized(100_000, 300)
	var failed sync.Map
	meanwhile(t, func(ctx context.Context) error {
		workqueue.ParallelizeUntil(ctx, creators, count, func(i int) {
			request := template.object.DeepCopyObject().(*cmapi.CertificateRequest)
			request.Name = fmt.Sprintf("churn-%06d", i)
			if err := env.Client.Create(ctx, request); err != nil {
				failed.Store("create", err)
				return
			}
			if err := env.Client.Delete(ctx, request); err != nil {
				failed.Store("delete", err)
			}
		})
		failed.Range(func(call, err any) bool {
			t.Errorf("%v: %v", call, err)
			return true
		})
		return ctx.Err()
	})
	t.Logf("resident memory of the standby: %d MiB before, %d MiB at most since", before.RSS>>20, consumed(t, standby).PeakRSS>>20)
	checkBounded(t, standby)
}
