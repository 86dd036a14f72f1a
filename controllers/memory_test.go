// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"

	"github.com/cert-manager/selfsigned-issuer/controllers/internal/testsupport"
)

const (
	memoryServerVariable = "SELFSIGNED_ISSUER_MEMORY_TEST_SERVER"

	// maxPeakMemory is the maximum memory use under the memory limit of 256 Mi.
	maxPeakMemory = 200 << 20
)

// TestSecretReadsMemory reconciles 100 requests with one Secret of 1 MiB at the same time, five
// times each, in a separate process with the environment of the Deployment.
func TestSecretReadsMemory(t *testing.T) {
	if server := os.Getenv(memoryServerVariable); server != "" {
		reconcileAtOnce(t, server)
		return
	}
	if raceDetector() {
		t.Skip("the race detector needs a multiple of the memory")
	}
	server := largeSecretServer(t)
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestSecretReadsMemory$", "-test.v")
	child.Env = append(os.Environ(), memoryServerVariable+"="+server, "GOMEMLIMIT=200MiB", "GOGC=50")
	output, err := child.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	peak := peakIn(t, string(output))
	t.Logf("peak memory: %d MiB", peak>>20)
	if peak > maxPeakMemory {
		t.Errorf("the peak was %d MiB, want at most %d", peak>>20, maxPeakMemory>>20)
	}
}

func raceDetector() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

// largeSecretServer is an API server that returns a Secret of 1 MiB for each call.
func largeSecretServer(t *testing.T) string {
	t.Helper()
	scheme := Scheme()
	body, err := runtime.Encode(protobuf.NewSerializer(scheme, scheme), &corev1.Secret{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		ObjectMeta: metav1.ObjectMeta{Namespace: "sandbox", Name: "key"},
		Data:       map[string][]byte{"padding": make([]byte, 1<<20-200)},
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/vnd.kubernetes.protobuf")
		_, _ = w.Write(body)
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.URL
}

func reconcileAtOnce(t *testing.T, server string) {
	mapper := meta.NewDefaultRESTMapper(nil)
	mapper.Add(corev1.SchemeGroupVersion.WithKind("Secret"), meta.RESTScopeNamespace)
	config := &rest.Config{Host: server, TLSClientConfig: rest.TLSClientConfig{Insecure: true}, QPS: -1}
	live, err := client.New(config, client.Options{Scheme: Scheme(), Mapper: mapper})
	if err != nil {
		t.Fatal(err)
	}
	f, key := newFixture(t, interceptor.Funcs{}), testsupport.Key(t)
	f.reconciler.recorder = events.NewFakeRecorder(1000)
	f.reconciler.keys.live = live
	queue := priorityqueue.New[ctrl.Request]("test")
	if err := f.reconciler.slots.setQueue(t.Context(), queue); err != nil {
		t.Fatal(err)
	}
	const requests, attempts = 100, 5
	for i := range requests {
		request := testsupport.ApprovedRequest(t, key, time.Now())
		request.Name = fmt.Sprintf("request-%d", i)
		if err := f.client.Create(t.Context(), request); err != nil {
			t.Fatal(err)
		}
		queue.Add(ctrl.Request{NamespacedName: client.ObjectKeyFromObject(request)})
	}
	waits := func(request types.NamespacedName) bool {
		f.reconciler.slots.mu.Lock()
		defer f.reconciler.slots.mu.Unlock()
		return f.reconciler.slots.tickets[request] != nil
	}
	var left atomic.Int64
	left.Store(requests * attempts)
	var workers sync.WaitGroup
	for range requests {
		workers.Go(func() {
			for {
				request, shutdown := queue.Get()
				if shutdown {
					return
				}
				if _, err := f.reconciler.Reconcile(t.Context(), request); err != nil {
					t.Error(err)
				}
				if !waits(request.NamespacedName) {
					if left.Add(-1) == 0 {
						queue.ShutDown()
					}
					queue.Add(request)
				}
				queue.Done(request)
			}
		})
	}
	workers.Wait()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Skip(err)
	}
	fmt.Println(string(status))
}

// peakIn returns the peak of the resident memory in the text of /proc/PID/status.
func peakIn(t *testing.T, status string) int {
	t.Helper()
	for line := range strings.SplitSeq(status, "\n") {
		fields := strings.Fields(line)
		if len(fields) == 3 && fields[0] == "VmHWM:" {
			kilobytes, err := strconv.Atoi(fields[1])
			if err != nil {
				t.Fatal(err)
			}
			return kilobytes << 10
		}
	}
	t.Skip("this system does not report the peak of the resident memory")
	return 0
}
