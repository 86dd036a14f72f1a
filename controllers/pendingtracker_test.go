// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"
	"testing"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

// TestNextPoll: the delay of polls doubles, and starts again for a re-created request.
func TestNextPoll(t *testing.T) {
	t.Parallel()
	w := newPendingTracker()
	for _, seconds := range []float64{1, 2, 4, 8, 16, 30, 30} {
		checkLook(t, w.nextPoll(requestKey, "first"), seconds)
	}
	for _, seconds := range []float64{1, 2} {
		checkLook(t, w.nextPoll(requestKey, "successor"), seconds)
	}
}

// TestPollRate: all requests of a namespace together read about as many Secrets a second, however
// many they are, and do not delay those of another namespace.
func TestPollRate(t *testing.T) {
	t.Parallel()
	const requests = 10000
	w := newPendingTracker()
	key := func(i int) types.NamespacedName {
		return types.NamespacedName{Namespace: "crowd", Name: fmt.Sprint(i)}
	}
	for range 2 {
		for i := range requests {
			w.nextPoll(key(i), "uid")
		}
	}
	checkLook(t, w.nextPoll(key(0), "uid"), requests/pollRate)
	checkLook(t, w.nextPoll(requestKey, "uid"), 1)
	for i := range requests {
		w.forget(key(i))
	}
	checkLook(t, w.nextPoll(key(0), "successor"), 1)
}

// TestPolledSecretIsReadOnce: the first look reads the API server's memory and then etcd, and each
// later one only etcd.
func TestPolledSecretIsReadOnce(t *testing.T) {
	t.Parallel()
	reads := 0
	f := newFixture(t, interceptor.Funcs{Get: countSecretReads(&reads)})
	f.setSecret(t, nil)
	for _, want := range []int{2, 3, 4} {
		if _, err := f.reconcile(); err != nil || reads != want {
			t.Fatalf("%d reads, %v; want %d", reads, err, want)
		}
	}
}

func checkLook(t *testing.T, got time.Duration, seconds float64) {
	t.Helper()
	if got.Seconds() > seconds || got.Seconds() < seconds*(1-pollJitter) {
		t.Errorf("the next look is after %s, want at most %v s", got, seconds)
	}
}

// TestSecretPolls: a request polls its Secret if it is not watched: if it does not exist or has no
// label, or if no Secrets are watched.
func TestSecretPolls(t *testing.T) {
	t.Parallel()
	label := map[string]string{cmapi.PartOfCertManagerControllerLabelKey: "true"}
	for name, c := range map[string]struct {
		secret      *corev1.Secret
		restored    bool
		pollSecrets bool
		seconds     []float64 // between the reads
	}{
		"no Secret":                      {seconds: []float64{1, 2, 4}},
		"without the label":              {secret: &corev1.Secret{}, seconds: []float64{1, 2, 4}},
		"with the label":                 {secret: &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Labels: label}}, seconds: []float64{0, 0}},
		"with the label, without watch":  {secret: &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Labels: label}}, pollSecrets: true, seconds: []float64{1, 2}},
		"restored request, no Secret":    {restored: true, seconds: []float64{1, 2}},
		"restored request, and a Secret": {restored: true, secret: &corev1.Secret{}, seconds: []float64{1, 2}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, interceptor.Funcs{Get: getOwnSecrets})
			f.reconciler.pollSecrets = c.pollSecrets
			f.setSecret(t, nil)
			if c.secret != nil {
				c.secret.Namespace, c.secret.Name = requestKey.Namespace, "key"
				if err := f.client.Create(t.Context(), c.secret); err != nil {
					t.Fatal(err)
				}
			}
			if c.restored {
				request := f.request(t)
				request.Annotations[cmapi.CertificateNameKey] = "certificate"
				if err := f.client.Update(t.Context(), request); err != nil {
					t.Fatal(err)
				}
			}
			for _, seconds := range c.seconds {
				result, err := f.reconcile()
				if err != nil || *result.Priority >= 0 {
					t.Errorf("%v, priority %d", err, *result.Priority)
				}
				checkLook(t, result.RequeueAfter, seconds)
			}
		})
	}
}

// getOwnSecrets makes the client return the metadata of Secrets like the cache.
func getOwnSecrets(ctx context.Context, c client.WithWatch, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
	_, metadata := object.(*metav1.PartialObjectMetadata)
	if err := c.Get(ctx, key, object, options...); err != nil || !metadata || ownSecrets.Matches(labels.Set(object.GetLabels())) {
		return err
	}
	return apierrors.NewNotFound(schema.GroupResource{Resource: "secrets"}, key.Name)
}
