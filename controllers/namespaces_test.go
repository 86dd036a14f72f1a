// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"

	"github.com/cert-manager/selfsigned-issuer/controllers/internal/metrics"
	"github.com/cert-manager/selfsigned-issuer/controllers/internal/testsupport"
)

// tenants is a cluster in which permissions change, with the reports of readiness.
type tenants struct {
	*readiness

	mu      sync.Mutex
	answers map[string]error
	oldCRD  bool // CertificateRequests cannot be selected
	checks  int
	hanging bool           // caches are never full
	stopFor time.Duration  // how long it takes to stop serving
	begun   int            // how often any namespace has been begun
	serving map[string]int // how often a namespace has been begun, less how often stopped
	selects bool           // what was begun last selects CertificateRequests
	refused map[string]func()
	lines   []string
}

var forbidden = missingPermissionsError{"list certificaterequests.cert-manager.io"}

const notServedB = "Namespace tenant-b is not served: selfsigned-issuer is not allowed to list certificaterequests.cert-manager.io there. " +
	"Create the namespace with the Role and the RoleBinding selfsigned-issuer-manager, or remove it from --namespaces."

func newTenants(answers map[string]error) *tenants {
	c := &tenants{answers: answers, serving: map[string]int{}, refused: map[string]func(){}}
	sink := funcr.New(func(_, _ string) {}, funcr.Options{}).GetSink()
	c.readiness = newReadiness(logr.New(messageOnly{sink, c}), metrics.New())
	return c
}

func (c *tenants) answer(namespace string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answers[namespace] = err
}

func (c *tenants) replaceCRD(old bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.oldCRD = old
}

func (c *tenants) check(_ context.Context, namespace string) (bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.checks++
	return !c.oldCRD, c.answers[namespace]
}

func (c *tenants) serve(_ context.Context, namespace string, selectable bool, refused func()) (*servedScope, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.begun++
	c.serving[namespace]++
	c.refused[namespace], c.selects = refused, selectable
	s := &servedScope{filled: make(chan struct{}), selectable: selectable, stop: func() {
		time.Sleep(c.stopFor) //nolint:forbidigo // of synctest
		c.mu.Lock()
		defer c.mu.Unlock()
		c.serving[namespace]--
	}}
	if !c.hanging {
		close(s.filled)
	}
	return s, nil
}

// start serves the namespaces until the test ends.
func (c *tenants) start(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	var namespaces []string
	for namespace := range c.answers {
		namespaces = append(namespaces, namespace)
	}
	slices.Sort(namespaces)
	c.begin(namespaces)
	for _, namespace := range namespaces {
		r := &namespaceRunner{namespace: namespace, check: c.check, serve: c.serve, report: c.set}
		running.Go(func() {
			if err := r.run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(func() { cancel(); running.Wait() })
	synctest.Wait()
}

// awaitCheck returns when a namespace that is checked at this interval has been checked.
func (c *tenants) awaitCheck(interval time.Duration) {
	c.wait(time.Duration(float64(interval) * (1 + intervalJitter)))
}

func (c *tenants) wait(d time.Duration) {
	time.Sleep(d) //nolint:forbidigo // of synctest
	synctest.Wait()
}

// want compares readiness, metrics and log.
func (c *tenants) want(t *testing.T, ready string, served map[string]float64, lines ...string) {
	t.Helper()
	got := "ready"
	if err := c.readiness.check(); err != nil {
		got = err.Error()
	}
	if got != ready {
		t.Errorf("the probe answers %q, want %q", got, ready)
	}
	for namespace, want := range served {
		series := fmt.Sprintf("selfsigned_issuer_namespace_served{served_namespace=%q} %v\n", namespace, want)
		if text := testsupport.Scrape(t, c.metrics); !strings.Contains(text, series) {
			t.Errorf("no %s in:\n%s", series, text)
		}
		c.mu.Lock()
		if float64(c.serving[namespace]) != want && !c.hanging {
			t.Errorf("%s has %d sets of controllers, want %v", namespace, c.serving[namespace], want)
		}
		c.mu.Unlock()
	}
	if logged := c.takeLines(); !slices.Equal(lines, logged) {
		t.Errorf("the log has\n%s\nwant\n%s", strings.Join(logged, "\n"), strings.Join(lines, "\n"))
	}
}

func (c *tenants) countChecks() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.checks
}

// takeLines returns the log since the last call.
func (c *tenants) takeLines() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	lines := c.lines
	c.lines = nil
	return lines
}

// messageOnly returns the messages of a log.
type messageOnly struct {
	logr.LogSink
	tenants *tenants
}

func (m messageOnly) Info(_ int, message string, _ ...any) {
	m.tenants.mu.Lock()
	defer m.tenants.mu.Unlock()
	m.tenants.lines = append(m.tenants.lines, message)
}

// TestNamespaceIsLeftOut: a namespace without permissions does not delay others. It is served while
// it has them, and each change is logged once.
func TestNamespaceIsLeftOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTenants(map[string]error{"tenant-a": nil, "tenant-b": forbidden})
		c.start(t)
		c.want(t, "ready", map[string]float64{"tenant-a": 1, "tenant-b": 0}, notServedB, "Ready to sign")
		c.wait(time.Hour)
		c.want(t, "ready", map[string]float64{"tenant-a": 1, "tenant-b": 0})
		if want := []string{notServedB}; !slices.Equal(c.describeUnserved(), want) {
			t.Errorf("the probe adds %q, want %q", c.describeUnserved(), want)
		}

		c.answer("tenant-b", nil)
		c.awaitCheck(unservedInterval)
		c.want(t, "ready", map[string]float64{"tenant-a": 1, "tenant-b": 1}, "Namespace tenant-b is served")

		c.answer("tenant-b", forbidden)
		c.awaitCheck(servedInterval + recheckDelay)
		c.want(t, "ready", map[string]float64{"tenant-a": 1, "tenant-b": 0}, notServedB)

		c.answer("tenant-b", nil)
		c.awaitCheck(unservedInterval)
		c.want(t, "ready", map[string]float64{"tenant-a": 1, "tenant-b": 1}, "Namespace tenant-b is served")
	})
}

// refuse is called by caches whose list or watch is refused.
func (c *tenants) refuse(namespace string) {
	c.mu.Lock()
	refused := c.refused[namespace]
	c.mu.Unlock()
	refused()
	synctest.Wait()
}

// TestRefusedWatchTriggersCheck: a refused list or watch triggers the next check.
func TestRefusedWatchTriggersCheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTenants(map[string]error{"tenant-a": nil, "tenant-b": nil})
		c.start(t)
		c.want(t, "ready", map[string]float64{"tenant-a": 1, "tenant-b": 1}, "Ready to sign")
		c.answer("tenant-b", forbidden)
		c.refuse("tenant-b")
		c.awaitCheck(recheckDelay)
		c.want(t, "ready", map[string]float64{"tenant-a": 1, "tenant-b": 0}, notServedB)
	})
}

// TestSingleRefusalChangesNothing: an API server that has just started can refuse what it permits a
// second later. The caches and controllers are kept, also if this repeats.
func TestSingleRefusalChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTenants(map[string]error{"tenant-b": nil})
		c.start(t)
		c.takeLines()
		for range 3 {
			c.answer("tenant-b", forbidden)
			c.refuse("tenant-b")
			c.refuse("tenant-b") // by the caches of another type
			c.answer("tenant-b", nil)
			c.want(t, "ready", map[string]float64{"tenant-b": 1})
			c.awaitCheck(recheckDelay)
			c.want(t, "ready", map[string]float64{"tenant-b": 1})
		}
		if c.begun != 1 {
			t.Errorf("the namespace was begun %d times, want once", c.begun)
		}
	})
}

// TestStopIsReportedWhenItIsDone: while the controllers of a namespace run, it is not reported as
// not served.
func TestStopIsReportedWhenItIsDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTenants(map[string]error{"tenant-a": nil, "tenant-b": nil})
		c.stopFor = 10 * time.Second
		c.start(t)
		c.takeLines()
		c.answer("tenant-b", forbidden)
		c.refuse("tenant-b")
		c.awaitCheck(recheckDelay)
		c.want(t, "ready", map[string]float64{"tenant-a": 1, "tenant-b": 1})
		c.wait(c.stopFor)
		c.want(t, "ready", map[string]float64{"tenant-a": 1, "tenant-b": 0}, notServedB)
	})
}

// TestChecksAreSpread: namespaces that start at the same time are not checked at the same time.
func TestChecksAreSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answers := map[string]error{}
		for i := range 50 {
			answers[fmt.Sprint("tenant-", i)] = nil
		}
		c := newTenants(answers)
		c.start(t)
		before := c.countChecks()
		c.wait(servedInterval)
		half := time.Duration(float64(servedInterval) * intervalJitter / 2)
		c.wait(half)
		early := c.countChecks() - before
		c.wait(half)
		late := c.countChecks() - before - early
		if early+late != 50 || early < 10 || late < 10 {
			t.Errorf("%d checks in the first half of the interval's jitter and %d in the second, want about 25 each", early, late)
		}
	})
}

// TestNoNamespaceIsServed: without a served namespace, selfsigned-issuer is not ready and reports
// the reason.
func TestNoNamespaceIsServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTenants(map[string]error{"tenant-b": forbidden})
		c.start(t)
		c.want(t, noneServed+". "+notServedB, map[string]float64{"tenant-b": 0}, notServedB, "Not ready: "+noneServed)
		c.answer("tenant-b", nil)
		c.awaitCheck(unservedInterval)
		c.want(t, "ready", map[string]float64{"tenant-b": 1}, "Namespace tenant-b is served", "Ready to sign")
		c.answer("tenant-b", forbidden)
		c.awaitCheck(servedInterval + recheckDelay)
		c.want(t, noneServed+". "+notServedB, map[string]float64{"tenant-b": 0}, notServedB, "Not ready: "+noneServed)
	})
}

// TestUnansweredCheckChangesNothing: namespaces stay served if the API server is unavailable.
func TestUnansweredCheckChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTenants(map[string]error{"tenant-a": nil, "tenant-b": forbidden})
		c.start(t)
		c.takeLines()
		for _, namespace := range []string{"tenant-a", "tenant-b"} {
			c.answer(namespace, errors.New("failed to list secrets, will retry: connection refused"))
		}
		c.wait(fillTimeout - unservedInterval)
		c.want(t, "ready", map[string]float64{"tenant-a": 1, "tenant-b": 0})
	})
}

// TestHangingNamespaceDelaysForATime: a namespace without an answer delays readiness for a limited
// time.
func TestHangingNamespaceDelaysForATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reason := "failed to list secrets, will retry: the server is currently unable to handle the request"
		c := newTenants(map[string]error{"tenant-a": nil, "tenant-b": errors.New(reason)})
		c.start(t)
		c.want(t, "namespace tenant-b: "+reason, map[string]float64{"tenant-a": 1, "tenant-b": 0})
		c.awaitCheck(fillTimeout + crdPollInterval)
		c.want(t, "ready", map[string]float64{"tenant-a": 1, "tenant-b": 0},
			"Namespace tenant-b is not served: "+reason, "Ready to sign")
		c.answer("tenant-b", nil)
		c.awaitCheck(crdPollInterval)
		c.want(t, "ready", map[string]float64{"tenant-a": 1, "tenant-b": 1}, "Namespace tenant-b is served")
	})
}

// TestWholeCluster: without --namespaces, there is one scope, which is kept and rarely checked.
func TestWholeCluster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const refused = "selfsigned-issuer is not allowed to list certificaterequests.cert-manager.io. Apply the overlay again, which grants this permission."
		c := newTenants(map[string]error{"": forbidden})
		c.start(t)
		c.wait(time.Minute)
		c.want(t, refused, nil, "Not ready: "+refused)
		c.answer("", nil)
		c.awaitCheck(unservedInterval)
		c.want(t, "ready", nil, "Ready to sign")
		checks := c.countChecks()
		c.wait(time.Hour)
		if more := c.countChecks() - checks; more > 6 {
			t.Errorf("%d checks in an hour", more)
		}
		c.answer("", forbidden)
		c.awaitCheck(clusterInterval)
		c.awaitCheck(recheckDelay)
		c.want(t, refused, nil, "Not ready: "+refused)
		c.answer("", nil)
		c.awaitCheck(unservedInterval)
		c.want(t, "ready", nil, "Ready to sign")
		if c.begun != 1 {
			t.Errorf("set up %d times, want once", c.begun)
		}
	})
}

// TestReplacedCRD: after a replacement of cert-manager's CRDs, the caches are filled again with the
// supported selector. A refused watch triggers this at once.
func TestReplacedCRD(t *testing.T) {
	for namespace, interval := range map[string]time.Duration{"": clusterInterval, "tenant-a": servedInterval} {
		synctest.Test(t, func(t *testing.T) {
			c := newTenants(map[string]error{namespace: nil})
			c.start(t)
			c.want(t, "ready", nil, "Ready to sign")
			c.wait(time.Hour)
			if !c.selects || c.begun != 1 {
				t.Fatalf("selects: %t, begun %d times", c.selects, c.begun)
			}

			c.replaceCRD(true)
			c.refuse(namespace)
			if c.selects || c.begun != 2 || c.serving[namespace] != 1 {
				t.Errorf("with an older CRD: selects: %t, begun %d times, served by %d sets of controllers", c.selects, c.begun, c.serving[namespace])
			}

			c.replaceCRD(false)
			c.awaitCheck(interval)
			if !c.selects || c.begun != 3 || c.serving[namespace] != 1 {
				t.Errorf("with a newer CRD: selects: %t, begun %d times, served by %d sets of controllers", c.selects, c.begun, c.serving[namespace])
			}
			if err := c.readiness.check(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestFillingCaches: selfsigned-issuer is not ready before the caches are filled.
func TestFillingCaches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTenants(map[string]error{"": nil})
		c.hanging = true
		c.start(t)
		c.want(t, "filling the caches", nil)
		if strings.Contains(fmt.Sprint(c.describeUnserved()), "filling") {
			t.Errorf("the whole cluster is described as a namespace: %q", c.describeUnserved())
		}
	})
}

// TestWorkersAreShared: all namespaces share the workers of --max-concurrent-reconciles, and each has some.
func TestWorkersAreShared(t *testing.T) {
	t.Parallel()
	namespaces := func(n int) (names []string) {
		for i := range n {
			names = append(names, fmt.Sprint("tenant-", i))
		}
		return names
	}
	for _, c := range []struct{ concurrency, namespaces, want int }{
		{100, 0, 100}, {100, 1, 100}, {100, 2, 50}, {100, 80, 2}, {1, 3, 1},
	} {
		o := Options{Concurrency: c.concurrency, Namespaces: namespaces(c.namespaces)}
		if got := o.workers(); got != c.want {
			t.Errorf("%d workers with %d namespaces: %d each, want %d", c.concurrency, c.namespaces, got, c.want)
		}
	}
	twice := Options{Concurrency: 100, Namespaces: []string{"tenant-b", "tenant-a", "tenant-b"}}
	if got, want := twice.scopeNamespaces(), []string{"tenant-a", "tenant-b"}; !slices.Equal(got, want) {
		t.Errorf("a namespace that is listed twice is served twice: %q", got)
	}
}
