// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package experiments

import (
	"context"
	"errors"
	"time"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/process"
	"github.com/cert-manager/selfsigned-issuer/e2e/tools/bench/report"
)

// meter takes one measurement.
type meter struct {
	batch    *batch
	timeline *timeline
	signer   signer
	approved int     // how many cert-manager approves between begin and end
	duration float64 // seconds
	values   map[string]float64

	before, after reading
}

// reading is what has been used up to a moment.
type reading struct {
	requests                       apiRequests
	signer, certManager, apiServer process.Usage
}

func (m *meter) read(ctx context.Context) (r reading, err error) {
	if r.requests, err = readAPIRequests(ctx, m.batch.cluster); err != nil {
		return r, err
	}
	if r.signer, err = usage(m.signer.process); err != nil {
		return r, err
	}
	if r.certManager, err = usage(m.signer.beside); err != nil {
		return r, err
	}
	r.apiServer, err = usage(m.batch.cluster.APIServer())
	return r, err
}

// begin notes what there is before. A signer that is started later has used nothing yet.
func (m *meter) begin(ctx context.Context) (err error) {
	m.before, err = m.read(ctx)
	return err
}

// end waits for the events, which may come after the certificates, and fills the values.
func (m *meter) end(ctx context.Context, latencies []float64) error {
	events, err := m.batch.awaitQuiet(ctx)
	if err != nil {
		return err
	}
	if m.after, err = m.read(ctx); err != nil {
		return err
	}
	n := float64(len(m.batch.requests))
	m.values[report.Rate] = n / m.duration
	m.values[report.P50] = report.Percentile(latencies, 50)
	m.values[report.P99] = report.Percentile(latencies, 99)
	m.values[report.Events] = float64(events-m.approved) / n
	m.reportUsage(n)
	m.after.requests.since(m.before.requests).without(m.approved).report(m.values, n)
	return nil
}

// reportUsage fills the values of CPU time and memory. What cert-manager uses beside the
// signer counts: a part of that is in the in-tree issuer's own process.
func (m *meter) reportUsage(n float64) {
	apiServer := m.after.apiServer.CPU - m.before.apiServer.CPU
	m.values[report.APIServerCPU] = apiServer.Seconds()
	if m.signer.process == nil {
		return
	}
	signer := m.after.signer.CPU - m.before.signer.CPU
	certManager := m.after.certManager.CPU - m.before.certManager.CPU
	m.values[report.SignerCPU] = signer.Seconds()
	m.values[report.CertManagerCPU] = certManager.Seconds()
	m.values[report.CostCPU] = (signer + certManager + apiServer).Seconds() * 1000 / n
	m.values[report.PeakRSS] = float64(m.after.signer.PeakRSS) / (1 << 20)
}

// usage of no process, and where the system does not tell, is nothing.
func usage(p *process.Process) (process.Usage, error) {
	if p == nil {
		return process.Usage{}, nil
	}
	used, err := p.Usage()
	if errors.Is(err, errors.ErrUnsupported) {
		return used, nil
	}
	return used, err
}

// quiet is how long no event has to come before all have come.
const quiet = time.Second

// awaitQuiet waits until no more events come, and returns how many there are.
func (b *batch) awaitQuiet(ctx context.Context) (int, error) {
	ticker := time.NewTicker(poll)
	defer ticker.Stop()
	last, since := -1, time.Now()
	for time.Since(since) < quiet {
		count, err := b.countEvents(ctx)
		if err != nil {
			return 0, err
		}
		if count != last {
			last, since = count, time.Now()
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	return last, nil
}
