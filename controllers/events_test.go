// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

// newTestWriter has an API server that treats each attempt to write an event as given; an
// attempt without an error is stored.
func newTestWriter(answer func(attempt int) (stored bool, err error)) (*eventWriter, client.Client) {
	var mu sync.Mutex
	attempts := 0
	c := fake.NewClientBuilder().WithScheme(Scheme()).WithInterceptorFuncs(interceptor.Funcs{
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
	return newEventWriter(c, logr.Discard()), c
}

func (w *eventWriter) send(n int) {
	for i := range n {
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "sandbox", Name: "about", UID: "uid"}}
		w.Eventf(secret, nil, corev1.EventTypeNormal, "Reason", eventAction, fmt.Sprintf("100%% of number %d", i))
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

// TestNoEventIsLost sends more at once than client-go's own recorder holds, and stops.
func TestNoEventIsLost(t *testing.T) {
	t.Parallel()
	const n = 1200
	w, c := newTestWriter(func(int) (bool, error) { return true, nil })
	w.send(n)
	w.stop(time.Minute)
	notes := eventNotes(t, c)
	if len(notes) != n || notes["100% of number 7"] != 1 {
		t.Errorf("%d different events have been written, want %d; number 7: %d times", len(notes), n, notes["100% of number 7"])
	}
}

// TestEventsAreTriedAgain until they are there once, also when it is the answer that was
// lost on the way.
func TestEventsAreTriedAgain(t *testing.T) {
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
			w.stop(time.Minute)
			if notes := eventNotes(t, c); len(notes) != 1 || notes["100% of number 0"] != 1 {
				t.Errorf("the events are %v, want the one", notes)
			}
		})
	}
}

// TestRefusedEventsAreDropped: what would be refused again is not tried again, and does not
// hold up others.
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
	w.stop(time.Minute)
	if len(attempts) != 2 || len(eventNotes(t, c)) != 1 {
		t.Errorf("%d attempts and %d events, want 2 and 1", len(attempts), len(eventNotes(t, c)))
	}
}
