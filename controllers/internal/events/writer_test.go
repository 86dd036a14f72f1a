// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package events

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	apiruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/cert-manager/selfsigned-issuer/controllers/internal/outcome"
	"github.com/cert-manager/selfsigned-issuer/controllers/internal/testsupport"
)

// newTestWriter returns a writer with an API server that calls a function for each write. Writes
// without an error are stored.
func newTestWriter(answer func(attempt int) (stored bool, err error)) (*Writer, client.Client) {
	var mu sync.Mutex
	attempts := 0
	c := fake.NewClientBuilder().WithScheme(scheme()).WithInterceptorFuncs(interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, object client.Object, options ...client.CreateOption) error {
			mu.Lock()
			attempts++
			stored, err := answer(attempts)
			mu.Unlock()
			if stored {
				if created := c.Create(ctx, object, options...); created != nil {
					return created
				}
			}
			return err
		},
	}).Build()
	return New(c, logr.Discard(), newCounter()), c
}

func scheme() *apiruntime.Scheme {
	scheme := apiruntime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(scheme))
	utilruntime.Must(cmapi.AddToScheme(scheme))
	return scheme
}

func newCounter() *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "events_dropped_total"}, []string{"reason"})
}

func (w *Writer) send(n int) {
	for i := range n {
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "sandbox", Name: "about", UID: "uid"}}
		w.Eventf(secret, nil, corev1.EventTypeNormal, string(outcome.ReasonIssued), "Sign", fmt.Sprintf("100%% of number %d", i))
	}
}

func eventNotes(t *testing.T, c client.Client) map[string]int {
	t.Helper()
	var list eventsv1.EventList
	if err := c.List(t.Context(), &list); err != nil {
		t.Fatal(err)
	}
	notes := map[string]int{}
	for _, event := range list.Items {
		notes[event.Note]++
	}
	return notes
}

// TestNoEventIsLost sends more events at once than client-go's recorder can queue, and stops.
func TestNoEventIsLost(t *testing.T) {
	t.Parallel()
	const n = 1200
	w, c := newTestWriter(func(int) (bool, error) { return true, nil })
	w.send(n)
	w.Stop(time.Minute)
	notes := eventNotes(t, c)
	if len(notes) != n || notes["100% of number 7"] != 1 {
		t.Errorf("%d different events have been written, want %d; number 7: %d times", len(notes), n, notes["100% of number 7"])
	}
}

// TestEventsAreRetried until each is stored once, also if only the response was lost.
func TestEventsAreRetried(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]struct {
		stored bool
		err    error
	}{
		"too many requests": {false, apierrors.NewTooManyRequests("slow down", 1)},
		"no connection":     {false, syscall.ECONNREFUSED},
		"answer lost":       {true, syscall.ECONNRESET},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			second := make(chan struct{})
			w, c := newTestWriter(func(attempt int) (bool, error) {
				if attempt == 1 {
					return first.stored, first.err
				}
				defer close(second)
				return true, nil
			})
			w.send(1)
			<-second
			w.Stop(time.Minute)
			if notes := eventNotes(t, c); len(notes) != 1 || notes["100% of number 0"] != 1 {
				t.Errorf("the events are %v, want the one", notes)
			}
		})
	}
}

// TestRefusedEventsAreDropped: an event that would be refused again is not retried, and does not
// delay others.
func TestRefusedEventsAreDropped(t *testing.T) {
	t.Parallel()
	attempts := make(chan int, 10)
	w, c := newTestWriter(func(attempt int) (bool, error) {
		attempts <- attempt
		if attempt == 1 {
			return false, apierrors.NewForbidden(schema.GroupResource{Resource: "events"}, "x", errors.New("no"))
		}
		return true, nil
	})
	w.send(2)
	w.Stop(time.Minute)
	if len(attempts) != 2 || len(eventNotes(t, c)) != 1 {
		t.Errorf("%d attempts and %d events, want 2 and 1", len(attempts), len(eventNotes(t, c)))
	}
}

// about returns a request for events.
func about(namespace, name string) *cmapi.CertificateRequest {
	return &cmapi.CertificateRequest{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: types.UID(namespace + "/" + name)}}
}

func (w *Writer) record(name string, reason outcome.Reason, note string) {
	w.Eventf(about("sandbox", name), nil, corev1.EventTypeNormal, string(reason), "Sign", note)
}

// counted returns the value of the metric.
func (d *eventDrops) counted(t *testing.T, reason dropReason) float64 {
	t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(d.count)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, metric := range families[0].GetMetric() {
		if metric.GetLabel()[0].GetValue() == string(reason) {
			return metric.GetCounter().GetValue()
		}
	}
	return 0
}

// TestToggledSecretQueuesOneEventEach: the Secret of 100 pending requests changes ten times while
// the API server accepts no events. Each request has one pending event, and its final events.
func TestToggledSecretQueuesOneEventEach(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{})
	w, c := newTestWriter(func(int) (bool, error) { <-gate; return true, nil })
	const n, toggles = 100, 10
	for toggle := range toggles {
		for i := range n {
			w.record(fmt.Sprint(i), []outcome.Reason{outcome.ReasonInvalidPrivateKey, outcome.ReasonMissingPrivateKey}[toggle%2], fmt.Sprintf("state %d of request %d", toggle, i))
		}
	}
	for i := range n {
		w.record(fmt.Sprint(i), outcome.ReasonIssued, fmt.Sprintf("end of request %d", i))
		w.record(fmt.Sprint(i), outcome.BadConfig, fmt.Sprintf("warning of request %d", i))
	}
	// Events in flight cannot be replaced.
	if got := w.queue.size; got < 3*n-eventWriters || got > 3*n {
		t.Errorf("%d events are queued, want one for each state and two for each end of %d requests", got, n)
	}
	close(gate)
	w.Stop(time.Minute)
	notes := eventNotes(t, c)
	for i := range n {
		for _, note := range []string{fmt.Sprintf("state %d of request %d", toggles-1, i), fmt.Sprintf("end of request %d", i), fmt.Sprintf("warning of request %d", i)} {
			if notes[note] != 1 {
				t.Errorf("%d events %q, want one", notes[note], note)
			}
		}
	}
	if len(notes) > 3*n+eventWriters {
		t.Errorf("%d events were written for %d requests", len(notes), n)
	}
}

// TestEventQueueIsBounded: if the queue is full, memory and log do not grow, and dropped events are
// counted.
func TestEventQueueIsBounded(t *testing.T) {
	gate := make(chan struct{})
	w, _ := newTestWriter(func(int) (bool, error) { <-gate; return false, nil })
	var lines []string
	w.drops.log = funcr.New(func(_, args string) { lines = append(lines, args) }, funcr.Options{})
	before := testsupport.Heap()
	const n = 5 * maxEvents
	note := strings.Repeat("x", 300)
	for i := range n {
		w.record(fmt.Sprint(i), outcome.ReasonInvalidPrivateKey, note+fmt.Sprint(i))
	}
	if w.queue.size != maxEvents {
		t.Errorf("%d events are queued, want %d", w.queue.size, maxEvents)
	}
	const most = 3000
	grown := (testsupport.Heap() - before) / maxEvents
	t.Logf("%d bytes an event", grown)
	if grown > most {
		t.Errorf("an event takes more than %d bytes", most)
	}
	dropped := w.drops.counted(t, queueFull)
	if dropped < n-maxEvents-eventWriters || dropped > n-maxEvents {
		t.Errorf("%v dropped events are counted, want about %d", dropped, n-maxEvents)
	}
	close(gate)
	w.Stop(time.Minute)
	if len(lines) != 2 || !strings.Contains(lines[0], `"count"=1 `) || !strings.HasSuffix(lines[1], fmt.Sprintf(`"count"=%v`, dropped-1)) {
		t.Errorf("logged %q, want the first dropped event, and at the stop the number of the others", lines)
	}
}

// TestEventsAtTheStop: a delayed event is retried at the end. Events that the API server refuses or
// does not accept in time are counted and logged in one line.
func TestEventsAtTheStop(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		atStop  func(ctx context.Context) error
		lasts   time.Duration
		dropped int
	}{
		"accepted":   {func(context.Context) error { return nil }, 0, 0},
		"refused":    {func(context.Context) error { return apierrors.NewTooManyRequests("slow down", 1) }, 0, 5},
		"unanswered": {func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }, FlushTimeout, 5},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var stopping atomic.Bool
				var attempts, written atomic.Int32
				c := fake.NewClientBuilder().WithScheme(scheme()).WithInterceptorFuncs(interceptor.Funcs{
					Create: func(ctx context.Context, _ client.WithWatch, _ client.Object, _ ...client.CreateOption) error {
						attempts.Add(1)
						if !stopping.Load() {
							return syscall.ECONNREFUSED
						}
						err := test.atStop(ctx)
						if err == nil {
							written.Add(1)
						}
						return err
					},
				}).Build()
				var lines []string
				w := New(c, funcr.New(func(_, args string) { lines = append(lines, args) }, funcr.Options{}), newCounter())
				w.send(5)
				synctest.Wait() // each was tried once and waits
				if attempts.Load() != 5 {
					t.Fatalf("%d attempts, want 5", attempts.Load())
				}
				stopping.Store(true)
				start := time.Now()
				w.Stop(FlushTimeout)
				if lasted := time.Since(start); lasted != test.lasts {
					t.Errorf("stopped after %s, want %s", lasted, test.lasts)
				}
				if got := int(written.Load()); got != 5-test.dropped {
					t.Errorf("%d events were written, want %d", got, 5-test.dropped)
				}
				if got := w.drops.counted(t, writerStopped); got != float64(test.dropped) {
					t.Errorf("%v lost events are counted, want %d", got, test.dropped)
				}
				want := []string{`"level"=0 "msg"="Dropped events" "cause"="stopped" "count"=5`}
				if test.dropped == 0 {
					want = nil
				}
				if !slices.Equal(lines, want) {
					t.Errorf("logged %q, want %q", lines, want)
				}
			})
		})
	}
}

// TestDroppedEventsAreLoggedOncePerMinute: the first one at once, then the number of others.
func TestDroppedEventsAreLoggedOncePerMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var lines []string
		drops := newEventDrops(funcr.New(func(_, args string) { lines = append(lines, args) }, funcr.Options{}), newCounter())
		for _, reason := range dropReasons {
			if n := drops.counted(t, reason); n != 0 || len(drops.bursts) != len(dropReasons) {
				t.Errorf("%s: %v, want a series with 0", reason, n)
			}
		}
		event := &eventsv1.Event{Reason: "Denied", Regarding: corev1.ObjectReference{Namespace: "sandbox", Name: "request"}}
		for range 120 {
			drops.add(event, eventRefused, errors.New("no"))
			<-time.After(time.Second)
		}
		drops.report()
		const line = `"msg"="Dropped events" "error"="no" "cause"="refused" "count"=%d "namespace"="sandbox" "name"="request" "reason"="Denied"`
		want := []string{fmt.Sprintf(line, 1), fmt.Sprintf(line, 60), `"level"=0 "msg"="Dropped events" "cause"="refused" "count"=59`}
		if !slices.Equal(lines, want) {
			t.Errorf("logged\n%s\nwant\n%s", strings.Join(lines, "\n"), strings.Join(want, "\n"))
		}
	})
}
