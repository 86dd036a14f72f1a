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
	"k8s.io/client-go/util/workqueue"
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
	queue    workqueue.TypedRateLimitingInterface[*eventsv1.Event]
}

const (
	// eventWriters is how many events are written at the same time: enough to keep up with
	// the signatures while the API server has time, and a small share of it when it has none.
	eventWriters = 2

	// An event that the API server does not take now is tried again, first after
	// eventRetryFirst, then after twice as long each time, for some minutes in all.
	eventRetryFirst = time.Second
	eventRetryMost  = 30 * time.Second
	eventRetries    = 10
	eventTimeout    = 10 * time.Second

	// flushTimeout is how long writing the last events may take when the process stops.
	flushTimeout = 5 * time.Second
)

func newEventWriter(c client.Client, log logr.Logger) *eventWriter {
	host, _ := os.Hostname() // without a name, the controller's alone has to do
	w := &eventWriter{
		client: c, log: log, instance: Name + "-" + host,
		queue: workqueue.NewTypedRateLimitingQueue(
			workqueue.NewTypedItemExponentialFailureRateLimiter[*eventsv1.Event](eventRetryFirst, eventRetryMost)),
	}
	w.names.Store(time.Now().UnixNano()) // another process has another one
	for range eventWriters {
		w.workers.Go(w.work)
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
		w.log.Error(err, "An event is lost", "reason", reason)
		return
	}
	if len(args) > 0 {
		note = fmt.Sprintf(note, args...)
	}
	w.queue.Add(w.event(about, eventType, reason, action, truncate(note, maxNote)))
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

func (w *eventWriter) work() {
	for {
		event, stopped := w.queue.Get()
		if stopped {
			return
		}
		w.write(event)
	}
}

// write sends an event once more. Its name is its own: a second attempt after an answer that
// was lost on the way finds the event there already, and does not double it.
func (w *eventWriter) write(event *eventsv1.Event) {
	defer w.queue.Done(event)
	ctx, cancel := context.WithTimeout(context.Background(), eventTimeout)
	defer cancel()
	err := w.client.Create(ctx, event.DeepCopy())
	switch {
	case err == nil, apierrors.IsAlreadyExists(err):
		w.queue.Forget(event)
	case refused(err) || w.queue.NumRequeues(event) >= eventRetries:
		w.queue.Forget(event)
		w.log.Error(err, "An event is lost", "reason", event.Reason, "namespace", event.Namespace, "name", event.Regarding.Name)
	default:
		w.queue.AddRateLimited(event)
	}
}

// refused is true when the same event would be refused again.
func refused(err error) bool {
	return apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) || apierrors.IsForbidden(err) || apierrors.IsNotFound(err)
}

// stop returns when the events that are waiting are written, or after the given time.
func (w *eventWriter) stop(limit time.Duration) {
	w.queue.ShutDown() // the workers end when it is empty
	done := make(chan struct{})
	go func() {
		w.workers.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(limit):
		w.log.Info("Stopped before all events were written")
	}
}
