// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package experiments

import (
	"context"
	"fmt"

	cmutil "github.com/cert-manager/cert-manager/pkg/api/util"
	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/certmanager"
)

// clients is how many requests to the API server the benchmark has in flight.
const clients = 20

// batch is the requests of one measurement, in a namespace of their own.
type batch struct {
	*bench
	namespace     string
	requests      []*cmapi.CertificateRequest
	untilApproved bool // nobody signs
}

// newBatch makes the keys and their Secrets, and for a backlog the requests, approved.
func (b *bench) newBatch(ctx context.Context, m measurement) (*batch, error) {
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		GenerateName: "benchmark-",
		// Quicker: the webhook is not asked about what is made here, see armWebhook.
		Labels: map[string]string{certmanager.DisableValidationLabel: "true"},
	}}
	if err := b.client.Create(ctx, namespace); err != nil {
		return nil, err
	}
	made := &batch{
		bench: b, namespace: namespace.Name,
		requests:      make([]*cmapi.CertificateRequest, m.requests),
		untilApproved: m.contestant.name() == ApprovalAlone,
	}
	err := concurrently(ctx, m.requests, func(ctx context.Context, i int) error {
		if err := made.prepare(ctx, i, m.contestant.issuer()); err != nil || m.online() {
			return err
		}
		if err := made.submit(ctx, i); err != nil {
			return err
		}
		return made.approve(ctx, i)
	})
	if err != nil {
		return nil, err
	}
	return made, made.armWebhook(ctx, namespace)
}

// concurrently calls do for all numbers below n, from several goroutines.
func concurrently(ctx context.Context, n int, do func(context.Context, int) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(clients)
	for i := range n {
		if ctx.Err() != nil {
			break
		}
		group.Go(func() error { return do(ctx, i) })
	}
	return group.Wait()
}

// prepare makes the key of a request and its Secret.
func (b *batch) prepare(ctx context.Context, i int, issuer cmmeta.IssuerReference) error {
	name := fmt.Sprintf("request-%05d", i)
	key, csr, err := newKeyAndCSR(name)
	if err != nil {
		return err
	}
	meta := metav1.ObjectMeta{Namespace: b.namespace, Name: name}
	b.requests[i] = &cmapi.CertificateRequest{ObjectMeta: meta, Spec: cmapi.CertificateRequestSpec{
		Request:   csr,
		IssuerRef: issuer,
		Usages:    []cmapi.KeyUsage{cmapi.UsageDigitalSignature, cmapi.UsageServerAuth},
	}}
	b.requests[i].Annotations = map[string]string{cmapi.CertificateRequestPrivateKeyAnnotationKey: name}
	return b.client.Create(ctx, &corev1.Secret{ObjectMeta: meta, Data: map[string][]byte{corev1.TLSPrivateKeyKey: key}})
}

// submit does what cert-manager does when a Certificate is to be issued.
func (b *batch) submit(ctx context.Context, i int) error {
	return b.client.Create(ctx, b.requests[i])
}

// approve does what cert-manager's approver does, where it does not run.
func (b *batch) approve(ctx context.Context, i int) error {
	cmutil.SetCertificateRequestCondition(b.requests[i], cmapi.CertificateRequestConditionApproved,
		cmmeta.ConditionTrue, "benchmark", "Approved by the benchmark.")
	return b.client.Status().Update(ctx, b.requests[i])
}

// armWebhook lets cert-manager's webhook see all further writes, and waits until it does.
func (b *batch) armWebhook(ctx context.Context, namespace *corev1.Namespace) error {
	namespace.Labels = nil
	if err := b.client.Update(ctx, namespace); err != nil {
		return err
	}
	invalid := &cmapi.CertificateRequest{
		ObjectMeta: metav1.ObjectMeta{Namespace: b.namespace, Name: "invalid"},
		Spec:       cmapi.CertificateRequestSpec{Request: []byte("invalid"), IssuerRef: cmmeta.IssuerReference{Name: "none"}},
	}
	return wait.PollUntilContextTimeout(ctx, poll, timeout, true, func(ctx context.Context) (bool, error) {
		return b.client.Create(ctx, invalid.DeepCopy(), client.DryRunAll) != nil, nil
	})
}

// delete deletes the requests, their keys and their events. The empty namespace stays:
// deleting it would take kube-controller-manager.
func (b *batch) delete(ctx context.Context) error {
	return b.deleteAll(ctx, b.namespace, &cmapi.CertificateRequest{}, &corev1.Secret{}, &eventsv1.Event{})
}

func (b *bench) deleteAll(ctx context.Context, namespace string, kinds ...client.Object) error {
	for _, kind := range kinds {
		err := wait.PollUntilContextTimeout(ctx, poll, timeout, true, func(ctx context.Context) (bool, error) {
			err := b.client.DeleteAllOf(ctx, kind, client.InNamespace(namespace))
			if apierrors.IsTimeout(err) { // there were too many for one request
				return false, nil
			}
			return err == nil, err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// countEvents returns how many events there are, without listing them.
func (b *batch) countEvents(ctx context.Context) (int, error) {
	var list eventsv1.EventList
	if err := b.client.List(ctx, &list, client.InNamespace(b.namespace), client.Limit(1)); err != nil {
		return 0, err
	}
	count := len(list.Items)
	if list.RemainingItemCount != nil {
		count += int(*list.RemainingItemCount)
	}
	return count, nil
}
