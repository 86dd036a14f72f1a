// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package events writes events in the background, at a low rate and from a bounded queue that is
// fair to namespaces. It retries failed writes, and counts the events that it drops.
package events

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/record/util"
	"k8s.io/client-go/tools/reference"
	"sigs.k8s.io/controller-runtime/pkg/client"

	selfsigned "github.com/cert-manager/selfsigned-issuer/api/v1alpha1"
	"github.com/cert-manager/selfsigned-issuer/controllers/internal/outcome"
)

// Writer writes events with a low rate, so that a burst of requests is signed first. DESIGN.md
// has the reason not to use client-go's recorder.
type Writer struct {
	client   client.Client
	log      logr.Logger
	instance string
	names    atomic.Int64 // the number in the name of the last event
	workers  sync.WaitGroup
	queue    *eventQueue
	drops    *eventDrops
	cancel   context.CancelFunc // of writes in flight
}

const (
	// eventWriters is the number of events that are written at the same time: enough to keep up
	// with signing, and little load for a busy API server.
	eventWriters = 2

	// maxEvents is the maximum number of queued events. A typical one needs about 1.5 KB.
	maxEvents = 10000

	// A failed write is retried after eventRetryBaseDelay. The delay doubles each time, up to
	// eventRetryMaxDelay. All retries take some minutes.
	eventRetryBaseDelay = time.Second
	eventRetryMaxDelay  = 30 * time.Second
	eventRetries        = 10
	eventTimeout        = 10 * time.Second

	// FlushTimeout is the maximum time to write the queued events at the end.
	FlushTimeout = 5 * time.Second
)

// New returns a writer. Stop must be called at the end.
func New(c client.Client, log logr.Logger, dropped *prometheus.CounterVec) *Writer {
	host, _ := os.Hostname() // can be empty
	w := &Writer{
		client: c, log: log, instance: selfsigned.GroupName + "-" + host,
		queue: newEventQueue(maxEvents),
		drops: newEventDrops(log, dropped),
	}
	ctx, cancel := context.WithCancel(context.Background())
	w.cancel = cancel
	w.names.Store(time.Now().UnixNano()) // unlike other replicas
	for range eventWriters {
		w.workers.Go(func() { w.work(ctx) })
	}
	return w
}

// maxNote is the maximum length of the note of an event, in bytes.
// Source: validation of events.k8s.io/v1.
const maxNote = 1024

// Eventf implements client-go's events.EventRecorder. issuer-lib passes texts that are not format
// strings: without arguments, "%" has no special meaning.
func (w *Writer) Eventf(regarding, _ runtime.Object, eventType, reason, action, note string, args ...any) {
	about, err := reference.GetReference(w.client.Scheme(), regarding)
	if err != nil {
		w.log.Error(err, "Failed to record an event, its object is not valid", "reason", reason)
		return
	}
	if len(args) > 0 {
		note = fmt.Sprintf(note, args...)
	}
	event := w.event(about, eventType, reason, action, outcome.Truncate(note, maxNote))
	if dropped := w.queue.add(&eventEntry{event: event, replaceable: isReplaceable(reason)}); dropped != nil {
		w.drops.add(dropped.event, queueFull, nil)
	}
}

// isReplaceable is true for events about pending requests and issuers. Events about finished
// requests, and their warnings, are final.
func isReplaceable(reason string) bool {
	if _, ok := outcome.Warnings[reason]; ok {
		return false
	}
	o, known := outcome.Table[outcome.Reason(reason)]
	return !known || o.State == outcome.Pending
}

func (w *Writer) event(about *corev1.ObjectReference, eventType, reason, action, note string) *eventsv1.Event {
	namespace := about.Namespace
	if namespace == "" {
		namespace = metav1.NamespaceDefault
	}
	return &eventsv1.Event{
		ObjectMeta:          metav1.ObjectMeta{Namespace: namespace, Name: util.GenerateEventName(about.Name, w.names.Add(1))},
		EventTime:           metav1.NowMicro(),
		ReportingController: selfsigned.GroupName,
		ReportingInstance:   w.instance,
		Regarding:           *about,
		Type:                eventType,
		Reason:              reason,
		Action:              action,
		Note:                note,
	}
}

func (w *Writer) work(ctx context.Context) {
	for {
		entry := w.queue.take()
		if entry == nil {
			return
		}
		w.write(ctx, entry)
	}
}

// write sends an event. Its name is unique: if the response of the first attempt was lost, the
// second one returns AlreadyExists.
func (w *Writer) write(ctx context.Context, entry *eventEntry) {
	ctx, cancel := context.WithTimeout(ctx, eventTimeout)
	defer cancel()
	err := w.client.Create(ctx, entry.event.DeepCopy())
	entry.attempts++
	switch {
	case err == nil, apierrors.IsAlreadyExists(err):
	case refused(err):
		w.drops.add(entry.event, eventRefused, err)
	case w.queue.isClosed():
		w.drops.add(entry.event, writerStopped, err)
	case entry.attempts > eventRetries:
		w.drops.add(entry.event, retriesExhausted, err)
	default:
		delay := min(eventRetryBaseDelay<<(entry.attempts-1), eventRetryMaxDelay)
		if dropped := w.queue.retry(entry, delay); dropped != nil {
			w.drops.add(dropped.event, queueFull, nil)
		}
	}
}

// refused returns whether the same event would be refused again.
func refused(err error) bool {
	return apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) || apierrors.IsForbidden(err) || apierrors.IsNotFound(err)
}

// Stop returns when the last attempt for each queued event has ended, or after the limit. It
// reports the number of events that were not written.
func (w *Writer) Stop(limit time.Duration) {
	w.queue.close() // the workers end when it is empty
	defer time.AfterFunc(limit, func() {
		w.drops.addStopped(w.queue.clear())
		w.cancel()
	}).Stop()
	w.workers.Wait()
	w.drops.report()
}
