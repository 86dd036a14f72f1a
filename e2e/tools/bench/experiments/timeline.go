// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package experiments

import (
	"context"
	"errors"
	"fmt"
	"time"

	cmutil "github.com/cert-manager/cert-manager/pkg/api/util"
	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	watchtools "k8s.io/client-go/tools/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// timeline records when a watch saw each request approved and ready.
type timeline struct {
	batch    *batch
	watch    watch.Interface
	progress chan struct{}
	done     chan error

	// Valid once done has been received from.
	approved, ready map[string]time.Time
}

// observe watches the requests of a batch, from what they are now.
func (b *batch) observe(ctx context.Context) (*timeline, error) {
	var list cmapi.CertificateRequestList
	if err := b.client.List(ctx, &list, client.InNamespace(b.namespace), client.Limit(1)); err != nil {
		return nil, err
	}
	// It begins again where it was when the API server ends the watch of a slow reader.
	watcher, err := watchtools.NewRetryWatcherWithContext(ctx, list.ResourceVersion, b)
	if err != nil {
		return nil, err
	}
	t := &timeline{
		batch: b, watch: watcher,
		progress: make(chan struct{}, 1), done: make(chan error, 1),
		approved: map[string]time.Time{}, ready: map[string]time.Time{},
	}
	go func() { t.done <- t.record() }()
	return t, nil
}

// WatchWithContext is what the watcher calls, again and again.
func (b *batch) WatchWithContext(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
	return b.client.Watch(ctx, &cmapi.CertificateRequestList{}, &client.ListOptions{Namespace: b.namespace, Raw: &options})
}

// record returns when all requests have been seen ready.
func (t *timeline) record() error {
	for event := range t.watch.ResultChan() {
		request, ok := event.Object.(*cmapi.CertificateRequest)
		if !ok {
			return fmt.Errorf("the watch of the requests brought %v", event.Object)
		}
		now := time.Now()
		if cmutil.CertificateRequestIsApproved(request) {
			note(t.approved, request.Name, now)
			if t.batch.untilApproved {
				note(t.ready, request.Name, now)
			}
		}
		switch cmutil.CertificateRequestReadyReason(request) {
		case cmapi.CertificateRequestReasonFailed, cmapi.CertificateRequestReasonDenied:
			return fmt.Errorf("%s has not been signed: %+v", request.Name, request.Status.Conditions)
		case cmapi.CertificateRequestReasonIssued:
			note(t.ready, request.Name, now)
		}
		if len(t.ready) == len(t.batch.requests) {
			return nil
		}
		select {
		case t.progress <- struct{}{}:
		default:
		}
	}
	return errors.New("the watch of the requests has ended")
}

func note(times map[string]time.Time, name string, now time.Time) {
	if _, known := times[name]; !known {
		times[name] = now
	}
}

// await returns when all requests have been seen ready. It gives up when nothing happens for
// a long time.
func (t *timeline) await(ctx context.Context) error {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	for {
		select {
		case <-t.progress:
			timer.Reset(timeout)
		case err := <-t.done:
			t.watch.Stop()
			return err
		case <-timer.C:
			t.watch.Stop()
			return errors.Join(errors.New("the signer does not get on"), <-t.done)
		case <-ctx.Done():
			t.watch.Stop()
			return ctx.Err()
		}
	}
}

// latencies returns the seconds from approved to ready.
func (t *timeline) latencies() []float64 {
	var seconds []float64
	for name, ready := range t.ready {
		seconds = append(seconds, ready.Sub(t.approved[name]).Seconds())
	}
	return seconds
}

// sinceStart returns the seconds from a start to ready.
func (t *timeline) sinceStart(start time.Time) []float64 {
	var seconds []float64
	for _, ready := range t.ready {
		seconds = append(seconds, ready.Sub(start).Seconds())
	}
	return seconds
}

// span returns the seconds from the first approved to the last ready.
func (t *timeline) span() float64 {
	var first, last time.Time
	for name, ready := range t.ready {
		if approved := t.approved[name]; first.IsZero() || approved.Before(first) {
			first = approved
		}
		if ready.After(last) {
			last = ready
		}
	}
	return last.Sub(first).Seconds()
}
