// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package experiments

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	cmutil "github.com/cert-manager/cert-manager/pkg/api/util"
	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/cert-manager/selfsigned-issuer/e2e/tools/bench/report"
)

// batch is one measurement: requests in a separate namespace, and their signer.
type batch struct {
	*bench
	experiment
	contestant
	namespace     string
	approved      *cmapi.CertificateRequest // the first request, in a backlog
	missing       int                       // how many requests are not ready
	observed      chan error
	signer        signer      // the contestant
	running       []signer    // and the approver before it
	begin, ready  []time.Time // the latency of a request is the time between them
	before, after reading
}

// measure runs an experiment once with one contestant.
func (b *bench) measure(ctx context.Context, e experiment, c contestant) (map[string]float64, error) {
	p := &batch{
		bench: b, experiment: e, contestant: c, missing: e.requests, observed: make(chan error, 1),
		begin: make([]time.Time, e.requests), ready: make([]time.Time, e.requests),
	}
	err := inOrder(ctx, p.prepare, p.observe, p.startSigners, p.arrive, p.finish)
	for _, s := range p.running {
		err = errors.Join(err, s.stop())
	}
	if err != nil {
		return nil, err
	}
	return p.values(), b.deleteAll(p.namespace)
}

// prepare creates what is there when the signer starts.
func (p *batch) prepare(ctx context.Context) (err error) {
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "benchmark-"}}
	if err := p.Client.Create(ctx, namespace); err != nil {
		return err
	}
	p.namespace = namespace.Name
	if p.arrival != secrets {
		err = p.createSecrets(ctx, p.requests, p.newSecret(p.namespace, 0))
	}
	if p.arrival != requests {
		p.approved = p.newRequest(p.namespace, 0, p.issuerRef)
		approve(p.approved)
		err = errors.Join(err, p.createRequests(ctx, p.requests, p.approved))
	}
	return err
}

// observe records when requests become approved and ready, until all are ready.
func (p *batch) observe(ctx context.Context) error {
	var list cmapi.CertificateRequestList
	if err := p.Client.List(ctx, &list, client.InNamespace(p.namespace), client.Limit(1)); err != nil {
		return err
	}
	watcher := &cache.ListWatch{WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
		return p.Client.Watch(ctx, &list, &client.ListOptions{Namespace: p.namespace, Raw: &options})
	}}
	go func() {
		_, err := watchtools.Until(ctx, list.ResourceVersion, watcher, func(event watch.Event) (bool, error) {
			request, ok := event.Object.(*cmapi.CertificateRequest)
			if !ok || cmutil.CertificateRequestReadyReason(request) == cmapi.CertificateRequestReasonFailed {
				return false, fmt.Errorf("unexpected: %v", event.Object)
			}
			p.record(request, time.Now())
			return p.missing == 0, nil
		})
		p.observed <- err
	}()
	return nil
}

func (p *batch) record(request *cmapi.CertificateRequest, now time.Time) {
	i, _ := strconv.Atoi(strings.TrimPrefix(request.Name, "request-"))
	approved := cmutil.CertificateRequestIsApproved(request)
	if approved && p.arrival == requests && p.begin[i].IsZero() {
		p.begin[i] = now
	}
	ready := cmutil.CertificateRequestReadyReason(request) == cmapi.CertificateRequestReasonIssued
	if p.ready[i].IsZero() && (ready || approved && p.contestant.name == report.Approval) {
		p.ready[i] = now
		p.missing--
	}
}

func (p *batch) startSigners(ctx context.Context) (err error) {
	if p.before, err = p.read(ctx); err != nil {
		return err
	}
	contestants := []contestant{p.contestant}
	if p.arrival == requests && p.issuerRef == ownRef { // in-tree, the issuers' process approves
		contestants = []contestant{p.inTree("approver", tunedWorkers), p.contestant}
	}
	for _, c := range contestants {
		if p.signer, err = c.start(ctx, p); p.signer.stop != nil {
			p.running = append(p.running, p.signer)
		}
		if err != nil {
			return err
		}
	}
	if p.arrival != nothing { // only a backlog includes the start
		p.before, err = p.read(ctx)
	}
	return err
}

// arrive creates what is missing.
func (p *batch) arrive(ctx context.Context) error {
	return concurrently(ctx, p.requests, p.interval, func(ctx context.Context, i int) error {
		switch p.arrival {
		case requests:
			return p.Client.Create(ctx, p.newRequest(p.namespace, i, p.issuerRef))
		case secrets:
			p.begin[i] = time.Now()
			return p.Client.Create(ctx, p.newSecret(p.namespace, i))
		default:
			p.begin[i] = p.signer.started
			return nil
		}
	})
}

// concurrently calls do for all numbers below n, in 20 goroutines.
func concurrently(ctx context.Context, n int, interval time.Duration, do func(context.Context, int) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(20)
	ticker := time.NewTicker(max(interval, 1))
	defer ticker.Stop()
	for i := range n {
		if interval > 0 {
			<-ticker.C
		}
		group.Go(func() error { return errors.Join(ctx.Err(), do(ctx, i)) })
	}
	return group.Wait()
}

// finish waits for the certificates and for the events, which may come later.
func (p *batch) finish(ctx context.Context) (err error) {
	if err := <-p.observed; err != nil {
		return err
	}
	_, err = awaitQuiet(ctx, 0, func() (float64, error) {
		var list eventsv1.EventList
		err := p.Client.List(ctx, &list, client.InNamespace(p.namespace), client.Limit(1))
		if list.RemainingItemCount == nil {
			return 0, err
		}
		return float64(*list.RemainingItemCount), err
	})
	if err != nil {
		return err
	}
	p.after, err = p.read(ctx)
	return err
}

// awaitQuiet waits until a count grows by no more than a tolerance within a second, and returns it.
func awaitQuiet(ctx context.Context, tolerance float64, count func() (float64, error)) (float64, error) {
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	last, since := -1-tolerance, time.Now()
	for {
		current, err := count()
		if current > last+tolerance {
			last, since = current, time.Now()
		}
		if err = errors.Join(err, ctx.Err()); err != nil || time.Since(since) >= time.Second {
			return current, err
		}
		<-ticker.C
	}
}

// reading is what was used until a moment.
type reading struct {
	reads, writes, secretReads float64       // requests to the API server
	cpu                        time.Duration // of the signer, the approver and the API server
	peakRSS                    int64         // of the signer
}

var requestTotal = regexp.MustCompile(`(?m)^apiserver_request_total\{.*,resource="(.*?)",.*,subresource="(.*?)",verb="(.*?)",.*\} (.*)$`)

func (p *batch) read(ctx context.Context) (r reading, err error) {
	metrics, err := p.ControlPlane.Get(ctx, "/metrics")
	for _, line := range requestTotal.FindAllStringSubmatch(string(metrics), -1) {
		n, parseErr := strconv.ParseFloat(line[4], 64)
		err = errors.Join(err, parseErr)
		r.count(line[3], line[1]+"/"+line[2], n)
	}
	for _, s := range append([]signer{{process: p.ControlPlane.APIServer()}}, p.running...) {
		if s.process != nil {
			usage, usageErr := s.process.Usage()
			err = errors.Join(err, usageErr)
			r.cpu += usage.CPU
			r.peakRSS = usage.PeakRSS
		}
	}
	return r, err
}

// uncounted are requests whose number does not depend on that of certificates, and those of the benchmark
// and the webhook.
var uncounted = regexp.MustCompile(`^\w* /|^\w+ (leases|subjectaccessreviews)|^LIST events|^POST (certificaterequests|secrets)/$`)

func (r *reading) count(verb, resource string, n float64) {
	switch {
	case uncounted.MatchString(verb + " " + resource):
	case verb == "GET" && resource == "secrets/":
		r.reads += n
		r.secretReads += n
	case verb == "GET" || verb == "LIST" || verb == "WATCH":
		r.reads += n
	default:
		r.writes += n
	}
}

func (p *batch) values() map[string]float64 {
	var latencies []float64
	for i, ready := range p.ready {
		latencies = append(latencies, ready.Sub(p.begin[i]).Seconds())
	}
	n, approvals := float64(p.requests), 0.0
	if p.arrival == requests {
		approvals = 2 // of cert-manager: the status and an event
	}
	duration := slices.MaxFunc(p.ready, time.Time.Compare).Sub(slices.MinFunc(p.begin, time.Time.Compare))
	values := map[string]float64{report.Rate: n / duration.Seconds()}
	if p.contestant.name == report.Approval {
		return values
	}
	values[report.P50] = report.Percentile(latencies, 50)
	values[report.P99] = report.Percentile(latencies, 99)
	values[report.Reads] = (p.after.reads - p.before.reads) / n
	values[report.SecretReads] = (p.after.secretReads - p.before.secretReads) / n
	values[report.Writes] = (p.after.writes-p.before.writes)/n - approvals
	if p.signer.process != nil {
		values[report.CPU] = 1000 * (p.after.cpu - p.before.cpu).Seconds() / n
		values[report.PeakRSS] = float64(p.after.peakRSS) / (1 << 20)
	}
	return values
}
