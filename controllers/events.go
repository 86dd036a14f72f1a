// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/record/util"
	"k8s.io/client-go/tools/reference"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// eventWriter writes events behind the signatures: a burst of requests is signed first, and
// its events follow. client-go's own recorder writes all at once, beside the signatures,
// keeps each event for minutes, and drops those in flight when the process is stopped.
type eventWriter struct {
	client   client.Client
	log      logr.Logger
	instance string
	names    atomic.Int64 // the number in the last event's name
	workers  sync.WaitGroup
	queue    *eventQueue
	drops    *eventDrops
	giveUp   context.CancelFunc // ends what is in flight
}

const (
	// eventWriters is how many events are written at the same time: enough to keep up with
	// the signatures while the API server has time, and a small share of it when it has none.
	eventWriters = 2

	// maxEvents is how many events are queued. One of usual size takes about 1.5 KB.
	maxEvents = 10000

	// An event that the API server does not take now is retried, first after eventRetryFirst,
	// then after twice as long each time, for some minutes in all.
	eventRetryFirst = time.Second
	eventRetryMost  = 30 * time.Second
	eventRetries    = 10
	eventTimeout    = 10 * time.Second

	// flushTimeout is how long writing the last events may take when the process stops.
	flushTimeout = 5 * time.Second
)

func newEventWriter(c client.Client, log logr.Logger, metrics *metrics) *eventWriter {
	host, _ := os.Hostname() // without a name, the controller's one must do
	w := &eventWriter{
		client: c, log: log, instance: Name + "-" + host,
		queue: newEventQueue(maxEvents),
		drops: &eventDrops{log: log, count: metrics.eventsDropped, bursts: map[dropReason]*burst{}},
	}
	ctx, giveUp := context.WithCancel(context.Background())
	w.giveUp = giveUp
	w.names.Store(time.Now().UnixNano()) // another process has another one
	for range eventWriters {
		w.workers.Go(func() { w.work(ctx) })
	}
	return w
}

// maxNote is the longest note, in bytes, that the API server takes in an event.
// Source: validation of events.k8s.io/v1.
const maxNote = 1024

// Eventf implements client-go's events.EventRecorder. issuer-lib passes finished texts where a
// format string is expected: without arguments, a "%" is a "%".
func (w *eventWriter) Eventf(regarding, _ runtime.Object, eventType, reason, action, note string, args ...any) {
	about, err := reference.GetReference(w.client.Scheme(), regarding)
	if err != nil {
		w.log.Error(err, "An event has no object", "reason", reason)
		return
	}
	if len(args) > 0 {
		note = fmt.Sprintf(note, args...)
	}
	event := w.event(about, eventType, reason, action, truncate(note, maxNote))
	if dropped := w.queue.add(&eventEntry{event: event, replaceable: isReplaceable(reason)}); dropped != nil {
		w.drops.add(dropped.event, queueFull, nil)
	}
}

// isReplaceable is true of events about what passes: a request that waits, an issuer. Those
// about the end of a request, and the warnings that come with it, are final.
func isReplaceable(reason string) bool {
	if reason == badConfig || reason == adjusted {
		return false
	}
	outcome, known := outcomes[Reason(reason)]
	return !known || outcome.state == pending
}

func (w *eventWriter) event(about *corev1.ObjectReference, eventType, reason, action, note string) *eventsv1.Event {
	namespace := about.Namespace
	if namespace == "" {
		namespace = metav1.NamespaceDefault
	}
	return &eventsv1.Event{
		ObjectMeta:          metav1.ObjectMeta{Namespace: namespace, Name: util.GenerateEventName(about.Name, w.names.Add(1))},
		EventTime:           metav1.NowMicro(),
		ReportingController: Name,
		ReportingInstance:   w.instance,
		Regarding:           *about,
		Type:                eventType,
		Reason:              reason,
		Action:              action,
		Note:                note,
	}
}

func (w *eventWriter) work(ctx context.Context) {
	for {
		entry := w.queue.take()
		if entry == nil {
			return
		}
		w.write(ctx, entry)
	}
}

// write sends an event once more. Its name is its own: a second attempt after an answer that
// was lost on the way finds the event there already, and does not double it.
func (w *eventWriter) write(ctx context.Context, entry *eventEntry) {
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
		delay := min(eventRetryFirst<<(entry.attempts-1), eventRetryMost)
		if dropped := w.queue.retry(entry, delay); dropped != nil {
			w.drops.add(dropped.event, queueFull, nil)
		}
	}
}

// refused is true when the same event would be refused again.
func refused(err error) bool {
	return apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) || apierrors.IsForbidden(err) || apierrors.IsNotFound(err)
}

// stop returns when each event that is queued was tried once more, whether or not it was to
// wait for a retry, or after the given time. It reports how many are lost.
func (w *eventWriter) stop(limit time.Duration) {
	w.queue.close() // the workers end when it is empty
	defer time.AfterFunc(limit, func() {
		w.drops.addStopped(w.queue.clear())
		w.giveUp()
	}).Stop()
	w.workers.Wait()
	w.drops.report()
}
