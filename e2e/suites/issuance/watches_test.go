// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package issuance_test

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	selfsigned "github.com/cert-manager/selfsigned-issuer/api/v1alpha1"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/certmanager"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/environment"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/issuer"
)

// TestWakesWithinASecond measures the time from the fix to the certificate of a pending request,
// 100 times per cause.
func TestWakesWithinASecond(t *testing.T) {
	key := newKey(t)
	for _, test := range []struct {
		name    string
		prepare func(t *testing.T, request *cmapi.CertificateRequest, object string)
		event   string // of the pending request
		wake    func(t *testing.T, namespace, object string, tlsKey []byte)
	}{
		{
			name:  "Secret created",
			event: "MissingSecret",
			wake: func(t *testing.T, namespace, object string, tlsKey []byte) {
				env.Create(t, keySecret(namespace, object, map[string][]byte{"tls.key": tlsKey}))
			},
		},
		{
			name: "Secret changed",
			prepare: func(t *testing.T, request *cmapi.CertificateRequest, object string) {
				env.Create(t, keySecret(request.Namespace, object, nil))
			},
			event: "MissingPrivateKey",
			wake:  updateSecret,
		},
		{
			name: "Secret labeled",
			prepare: func(t *testing.T, request *cmapi.CertificateRequest, object string) {
				unlabeled := keySecret(request.Namespace, object, nil)
				unlabeled.Labels = nil
				env.Create(t, unlabeled)
			},
			event: "MissingPrivateKey",
			wake:  updateSecret,
		},
		{
			name: "issuer created",
			prepare: func(t *testing.T, request *cmapi.CertificateRequest, object string) {
				request.Spec.IssuerRef.Name = object
				env.Create(t, keySecret(request.Namespace, object, map[string][]byte{"tls.key": keyPEM(t, key)}))
			},
			event: "IssuerNotFound",
			wake: func(t *testing.T, namespace, object string, _ []byte) {
				env.Create(t, newIssuer(namespace, object))
			},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			namespace, tlsKey := newNamespace(t), keyPEM(t, key)
			const count = 100
			requests := make([]*cmapi.CertificateRequest, count)
			for i := range requests {
				request, object := newRequest(t, namespace, key), fmt.Sprintf("object-%d", i)
				request.Annotations[cmapi.CertificateRequestPrivateKeyAnnotationKey] = object
				if test.prepare != nil {
					test.prepare(t, request, object)
				}
				env.Create(t, request)
				requests[i] = request
			}
			awaitEvents(t, namespace, test.event, count)
			signed := watchSigned(t, namespace)
			var took []time.Duration
			for i := range count {
				start := time.Now()
				test.wake(t, namespace, fmt.Sprintf("object-%d", i), tlsKey)
				select {
				case <-signed:
					took = append(took, time.Since(start))
				case <-time.After(timeout):
					t.Fatalf("request %d was not signed", i)
				}
			}
			slices.Sort(took)
			p50, p99 := took[count/2-1], took[count*99/100-1]
			t.Logf("to the certificate: p50 %s, p99 %s", p50, p99)
			if p99 > time.Second {
				t.Errorf("p99 of %d is %s, want at most 1s", count, p99)
			}
			for _, request := range requests {
				env.Get(t, request)
				if len(request.Status.Certificate) == 0 {
					t.Errorf("%s has no certificate", request.Name)
				}
			}
		})
	}
}

func updateSecret(t *testing.T, namespace, object string, tlsKey []byte) {
	t.Helper()
	if err := env.Client.Update(t.Context(), keySecret(namespace, object, map[string][]byte{"tls.key": tlsKey})); err != nil {
		t.Fatal(err)
	}
}

// TestUnlabeledSecretIsPolled expects that a Secret without cert-manager's label is found, also
// after a change.
func TestUnlabeledSecretIsPolled(t *testing.T) {
	t.Parallel()
	namespace, key := newNamespace(t), newKey(t)
	request := newRequest(t, namespace, key)
	env.Create(t, request)
	awaitEventReason(t, request, "MissingSecret")
	secret := keySecret(namespace, "key", nil)
	secret.Labels = nil
	env.Create(t, secret)
	awaitEventReason(t, request, "MissingPrivateKey")
	secret.Data = map[string][]byte{"tls.key": keyPEM(t, key)}
	start := time.Now()
	if err := env.Client.Update(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	checkIssued(t, request)
	if took := time.Since(start); took > 31*time.Second {
		t.Errorf("to the certificate: %s, want at most 31s", took)
	}
}

// awaitEvents waits until a number of requests in a namespace have an event with the reason.
func awaitEvents(t *testing.T, namespace, reason string, count int) {
	t.Helper()
	env.Eventually(t, fmt.Sprintf("%d events %s", count, reason), func(ctx context.Context) error {
		var list eventsv1.EventList
		if err := env.Client.List(ctx, &list, client.InNamespace(namespace)); err != nil {
			return err
		}
		about := map[types.UID]bool{}
		for _, event := range list.Items {
			if event.Reason == reason {
				about[event.Regarding.UID] = true
			}
		}
		if len(about) < count {
			return fmt.Errorf("%d requests have the event", len(about))
		}
		return nil
	})
}

// watchSigned sends the name of each request in a namespace when it has a certificate.
func watchSigned(t *testing.T, namespace string) <-chan string {
	t.Helper()
	c, err := environment.Client(env.ControlPlane.AdminConfig())
	if err != nil {
		t.Fatal(err)
	}
	watcher, err := c.Watch(t.Context(), &cmapi.CertificateRequestList{}, client.InNamespace(namespace))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(watcher.Stop)
	names := make(chan string, 1000)
	go func() {
		for event := range watcher.ResultChan() {
			if request, ok := event.Object.(*cmapi.CertificateRequest); ok && event.Type == watch.Modified && len(request.Status.Certificate) > 0 {
				names <- request.Name
			}
		}
	}()
	return names
}

// finishedRequests is the number of requests in TestFinishedRequestsSleep. An environment variable
// sets another number, for measurements.
func finishedRequests(t *testing.T) int {
	t.Helper()
	const variable, usual = "SELFSIGNED_ISSUER_FINISHED_REQUESTS", 200
	value := os.Getenv(variable)
	if value == "" {
		return usual
	}
	count, err := strconv.Atoi(value)
	if err != nil {
		t.Fatalf("%s: %v", variable, err)
	}
	return count
}

// TestFinishedRequestsSleep changes a Secret of many finished requests every 100 ms: nothing is
// reconciled. It must not run in parallel, because it counts reconciles.
func TestFinishedRequestsSleep(t *testing.T) {
	deleteRequests(t)
	namespace, key := newNamespace(t, certmanager.DisableValidationLabel), newKey(t)
	createKeySecret(t, namespace, key)
	env.Create(t, keySecret(namespace, "later", nil)) // labeled, so that it is not polled
	count, start := finishedRequests(t), time.Now()
	createFinished(t, namespace, key, count)
	t.Logf("%d finished requests were created in %s", count, time.Since(start))
	waits := newRequest(t, namespace, key)
	waits.Annotations[cmapi.CertificateRequestPrivateKeyAnnotationKey] = "later"
	env.Create(t, waits)
	awaitEventReason(t, waits, "MissingPrivateKey")
	env.Eventually(t, "rest", func(context.Context) error {
		if busy := metric(t, "controller_runtime_active_workers{controller=\"certificaterequest.") + metric(t, "workqueue_depth{controller=\"certificaterequest."); busy > 0 {
			return fmt.Errorf("%v requests are being reconciled", busy)
		}
		return nil
	})

	before := metric(t, reconcileTotal)
	const changes = 20
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for i := range changes {
		<-ticker.C
		secret := keySecret(namespace, "key", map[string][]byte{"tls.key": keyPEM(t, key), "change": []byte(strconv.Itoa(i))})
		if err := env.Client.Update(t.Context(), secret); err != nil {
			t.Fatal(err)
		}
	}
	// The watch is ordered: when a change of a later Secret has triggered the pending request, the
	// earlier changes have arrived. This is the only reconcile.
	updateSecret(t, namespace, "later", keyPEM(t, key))
	awaitReady(t, waits, cmmeta.ConditionTrue, "Issued", "Secret "+namespace+"/later")
	env.Eventually(t, "the count of that reconcile", func(context.Context) error { // the write is visible before the count
		if metric(t, reconcileTotal) <= before {
			return errors.New("not yet")
		}
		return nil
	})
	if got := metric(t, reconcileTotal) - before - 1; got != 0 {
		t.Errorf("%d changes of a Secret that %d finished requests name led to %v reconciles, want none", changes, count, got)
	}
	t.Logf("%d finished requests, %d changes of their Secret: no reconcile", count, changes)
}

// deleteRequests deletes the requests of earlier tests, which may poll their Secrets.
func deleteRequests(t *testing.T) {
	t.Helper()
	var all cmapi.CertificateRequestList
	if err := env.Client.List(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	for i := range all.Items {
		if err := env.Client.Delete(t.Context(), &all.Items[i]); client.IgnoreNotFound(err) != nil {
			t.Fatal(err)
		}
	}
}

// createFinished creates requests with a copied certificate, which are approved in the same write,
// to limit the work of cert-manager's approver.
func createFinished(t *testing.T, namespace string, key crypto.Signer, count int) {
	t.Helper()
	model := newRequest(t, namespace, key)
	env.Create(t, model)
	checkIssued(t, model)
	const workers = 16
	work := make(chan struct{})
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for range work {
				if err := createWithStatus(t.Context(), copyOf(model), model.Status); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range count {
		work <- struct{}{}
	}
	close(work)
	group.Wait()
	var list cmapi.CertificateRequestList
	if err := env.Client.List(t.Context(), &list, client.InNamespace(namespace)); err != nil || len(list.Items) != count+1 {
		t.Fatalf("%d finished requests, %v, want %d", len(list.Items), err, count)
	}
}

// copyOf returns another request with the same content.
func copyOf(model *cmapi.CertificateRequest) *cmapi.CertificateRequest {
	return &cmapi.CertificateRequest{
		ObjectMeta: metav1.ObjectMeta{Namespace: model.Namespace, GenerateName: model.GenerateName, Annotations: model.Annotations},
		Spec:       model.Spec,
	}
}

func createWithStatus(ctx context.Context, request *cmapi.CertificateRequest, status cmapi.CertificateRequestStatus) error {
	if err := env.Client.Create(ctx, request); err != nil {
		return err
	}
	return retry.RetryOnConflict(retry.DefaultRetry, func() error { // the approver also writes it
		if err := env.Client.Get(ctx, client.ObjectKeyFromObject(request), request); err != nil {
			return err
		}
		request.Status = status
		return env.Client.Status().Update(ctx, request)
	})
}

// Counters of controller-runtime, for CertificateRequests.
const (
	reconcileTotal  = "controller_runtime_reconcile_total{controller=\"certificaterequest."
	reconcileErrors = "controller_runtime_reconcile_errors_total{controller=\"certificaterequest."
)

// metric waits for metrics whose line starts with prefix, and returns their sum. Controllers have
// none before they start.
func metric(t *testing.T, prefix string) float64 {
	t.Helper()
	var sum float64
	env.Eventually(t, "metric "+prefix, func(ctx context.Context) error {
		status, body := issuer.Get(ctx, env.Issuer.MetricsURL+"/metrics")
		if status != http.StatusOK {
			return fmt.Errorf("/metrics answers %d: %s", status, body)
		}
		problem := errors.New("is not there")
		sum = 0
		for line := range strings.SplitSeq(body, "\n") {
			if !strings.HasPrefix(line, prefix) {
				continue
			}
			value, err := strconv.ParseFloat(line[strings.LastIndex(line, " ")+1:], 64)
			if err != nil {
				return err
			}
			sum, problem = sum+value, nil
		}
		return problem
	})
	return sum
}

// TestSpecChangeTakesEffect changes an issuer: later certificates follow the new spec.
func TestSpecChangeTakesEffect(t *testing.T) {
	t.Parallel()
	namespace, key := newNamespace(t), newKey(t)
	createKeySecret(t, namespace, key)
	first := newRequest(t, namespace, key)
	env.Create(t, first)
	checkIssued(t, first)

	points := []string{"http://example.com/a.crl", "ldap://example.com/b"}
	changeIssuer(t, namespace, func(spec *selfsigned.SelfSignedIssuerSpec) { spec.CRLDistributionPoints = points })
	awaitChecked(t, namespace)
	second := newRequest(t, namespace, key)
	env.Create(t, second)
	checkIssued(t, second)
	if got := mustParse(t, second.Status.Certificate).CRLDistributionPoints; !slices.Equal(got, points) {
		t.Errorf("CRL distribution points %q, want the issuer's %q", got, points)
	}
	before := first.ResourceVersion
	env.Get(t, first)
	if first.ResourceVersion != before {
		t.Error("the first request was written again")
	}
}
