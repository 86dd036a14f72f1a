// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"

	"github.com/cert-manager/selfsigned-issuer/controllers/internal/testsupport"
)

// crowd is a controller with many requests.
type crowd struct {
	fixture
	queue workQueue
}

// newCrowd starts a controller. It calls a function before it reads a Secret.
func newCrowd(t *testing.T, workers int, beforeRead func(ctx context.Context, namespace string) error) crowd {
	t.Helper()
	c := crowd{fixture: newFixture(t, interceptor.Funcs{}), queue: priorityqueue.New[ctrl.Request]("test")}
	c.reconciler.keys.live = interceptor.NewClient(c.client.(client.WithWatch), interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
			if err := beforeRead(ctx, key.Namespace); err != nil {
				return err
			}
			return c.Get(ctx, key, object, options...)
		},
	})
	c.reconciler.recorder = events.NewFakeRecorder(1000)
	c.reconciler.slots = newRequestSlots(newReadSlots(workers))
	running, err := controller.NewUnmanaged("test", controller.Options{
		Reconciler: c.reconciler, MaxConcurrentReconciles: workers, SkipNameValidation: new(true),
		NewQueue: func(string, workqueue.TypedRateLimiter[ctrl.Request]) workQueue { return c.queue },
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.reconciler.slots.setQueue(t.Context(), c.queue); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() { stopped <- running.Start(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-stopped; err != nil {
			t.Error(err)
		}
	})
	synctest.Wait()
	return c
}

// add creates requests in a namespace, with one issuer and one key, and enqueues them.
func (c crowd) add(t *testing.T, namespace string, count int, priority *int) {
	t.Helper()
	issuer, secret := testsupport.ReadyIssuer(), c.secret(t)
	objects := []client.Object{issuer, secret}
	for i := range count {
		request := c.request(t)
		request.Name = fmt.Sprintf("request-%d", i)
		request.UID = types.UID(namespace + request.Name)
		objects = append(objects, request)
	}
	for _, object := range objects {
		object.SetNamespace(namespace)
		object.SetResourceVersion("")
		if err := c.client.Create(t.Context(), object); err != nil {
			t.Fatal(err)
		}
	}
	for _, request := range objects[2:] {
		addWithPriority(c.queue, ctrl.Request{NamespacedName: client.ObjectKeyFromObject(request)}, 0, priority)
	}
}

// signed returns how many requests of a namespace have a certificate.
func (c crowd) signed(t *testing.T, namespace string) (signed int) {
	t.Helper()
	var list cmapi.CertificateRequestList
	if err := c.client.List(t.Context(), &list, client.InNamespace(namespace)); err != nil {
		t.Fatal(err)
	}
	for _, request := range list.Items {
		if len(request.Status.Certificate) > 0 {
			signed++
		}
	}
	return signed
}

// TestBusyNamespace blocks the reads of many requests of one namespace. Another namespace still gets
// workers, for any priority of its requests. All requests are signed when the reads return, and a
// request that is deleted while it waits leaves nothing behind.
func TestBusyNamespace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		answer := make(chan struct{})
		c := newCrowd(t, 16, func(ctx context.Context, namespace string) error {
			if namespace != "tenant" {
				return nil
			}
			select {
			case <-answer:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		c.add(t, "tenant", 120, pendingPriority)
		time.Sleep(time.Second) //nolint:forbidigo // of synctest
		c.add(t, "neighbor", 1, new(0))
		c.add(t, "triggered-again", 1, repeatedPriority)
		time.Sleep(10 * time.Millisecond) //nolint:forbidigo // of synctest
		for _, namespace := range []string{"neighbor", "triggered-again"} {
			if c.signed(t, namespace) != 1 {
				t.Errorf("the request in namespace %s is not signed beside a busy namespace", namespace)
			}
		}
		deleted := c.request(t)
		deleted.Namespace, deleted.Name = "tenant", "request-60"
		if err := c.client.Delete(t.Context(), deleted); err != nil {
			t.Fatal(err)
		}
		c.queue.Add(ctrl.Request{NamespacedName: client.ObjectKeyFromObject(deleted)})
		close(answer)
		time.Sleep(time.Second) //nolint:forbidigo // of synctest
		if signed := c.signed(t, "tenant"); signed != 119 {
			t.Errorf("%d of 119 requests are signed in the end", signed)
		}
		synctest.Wait()
		slots := c.reconciler.slots
		if len(slots.tickets) > 0 || len(slots.fast.keys) > 0 {
			t.Errorf("%d requests of %d namespaces keep slots", len(slots.tickets), len(slots.fast.keys))
		}
	})
}

// TestBusyNamespaces: namespaces that use all slots together do not block the workers either.
func TestBusyNamespaces(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t, 32, func(_ context.Context, namespace string) error {
			if namespace != "neighbor" {
				time.Sleep(20 * time.Millisecond) //nolint:forbidigo // of synctest
			}
			return nil
		})
		const tenants, each = 8, 24
		for i := range tenants {
			c.add(t, fmt.Sprint("tenant-", i), each, pendingPriority)
		}
		c.add(t, "neighbor", 1, repeatedPriority)
		time.Sleep(60 * time.Millisecond) //nolint:forbidigo // of synctest
		if c.signed(t, "neighbor") != 1 {
			t.Error("the neighbor's request is not signed beside busy namespaces")
		}
		time.Sleep(tenants * each / 16 * 20 * time.Millisecond) //nolint:forbidigo // of synctest
		for i := range tenants {
			if signed := c.signed(t, fmt.Sprint("tenant-", i)); signed != each {
				t.Errorf("%d of %d requests of tenant-%d are signed in the end", signed, each, i)
			}
		}
	})
}

// TestBusyNamespaceKeepsItsSlots measures the time for the requests of a namespace with a fake
// clock: its slots are always in use.
func TestBusyNamespaceKeepsItsSlots(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const count, slots, read = 256, 32, 20 * time.Millisecond
		var last atomic.Int64
		c := newCrowd(t, 100, func(context.Context, string) error {
			time.Sleep(read) //nolint:forbidigo // of synctest
			last.Store(time.Now().UnixNano())
			return nil
		})
		start := time.Now()
		c.add(t, "tenant", count, new(0))
		time.Sleep(time.Minute) //nolint:forbidigo // of synctest
		if signed := c.signed(t, "tenant"); signed != count {
			t.Errorf("%d of %d requests are signed", signed, count)
		}
		took, ideal := time.Duration(last.Load()-start.UnixNano()), count/slots*read
		if took != ideal {
			t.Errorf("%d requests took %s, want %s", count, took, ideal)
		}
	})
}

// TestPendingRequestsUseFewSlots: when a Secret changes, the many requests that wait for it are
// read less at a time than new ones.
func TestPendingRequestsUseFewSlots(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var reading, most atomic.Int64
		c := newCrowd(t, 100, func(context.Context, string) error {
			most.Store(max(most.Load(), reading.Add(1)))
			time.Sleep(20 * time.Millisecond) //nolint:forbidigo // of synctest
			reading.Add(-1)
			return apierrors.NewNotFound(corev1.Resource("secrets"), "key")
		})
		const count = 100
		c.add(t, "tenant", count, new(0))
		time.Sleep(time.Second) //nolint:forbidigo // of synctest
		if got := most.Swap(0); got != 32 {
			t.Errorf("%d new requests are read at a time, want 32", got)
		}
		for i := range count {
			c.queue.Add(ctrl.Request{NamespacedName: types.NamespacedName{Namespace: "tenant", Name: fmt.Sprint("request-", i)}})
		}
		time.Sleep(time.Second) //nolint:forbidigo // of synctest
		if got := most.Load(); got != 10 {
			t.Errorf("%d pending requests are read at a time, want 10", got)
		}
	})
}
