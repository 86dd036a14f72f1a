// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"errors"
	"time"

	"github.com/cert-manager/selfsigned-issuer/e2e/bench/report"
	"github.com/cert-manager/selfsigned-issuer/e2e/process"
)

// meter takes one measurement.
type meter struct {
	batch    *batch
	timeline *timeline
	signer   signer
	approved int     // how many the benchmark approves between begin and end
	duration float64 // seconds
	values   map[string]float64

	before         apiRequests
	signerBefore   process.Usage
	apiServerUsage process.Usage
}

// begin notes what there is before. A signer that is started later has used nothing yet.
func (m *meter) begin(ctx context.Context) error {
	var err error
	if m.before, err = readAPIRequests(ctx, m.batch.cluster); err != nil {
		return err
	}
	if m.signerBefore, err = usage(m.signer.process); err != nil {
		return err
	}
	m.apiServerUsage, err = usage(m.batch.cluster.APIServer())
	return err
}

// end waits for the events, which may come after the certificates, and fills the values.
func (m *meter) end(ctx context.Context, latencies []float64) error {
	events, err := m.batch.awaitQuiet(ctx)
	if err != nil {
		return err
	}
	signerAfter, err := usage(m.signer.process)
	if err != nil {
		return err
	}
	apiServerAfter, err := usage(m.batch.cluster.APIServer())
	if err != nil {
		return err
	}
	after, err := readAPIRequests(ctx, m.batch.cluster)
	if err != nil {
		return err
	}
	n := float64(len(m.batch.requests))
	m.values[report.Rate] = n / m.duration
	m.values[report.P50] = report.Percentile(latencies, 50)
	m.values[report.P99] = report.Percentile(latencies, 99)
	m.values[report.Events] = float64(events) / n
	m.values[report.APIServerCPU] = (apiServerAfter.CPU - m.apiServerUsage.CPU).Seconds()
	if m.signer.process != nil {
		m.values[report.SignerCPU] = (signerAfter.CPU - m.signerBefore.CPU).Seconds()
		m.values[report.CostCPU] = (m.values[report.SignerCPU] + m.values[report.APIServerCPU]) * 1000 / n
		m.values[report.PeakRSS] = float64(signerAfter.PeakRSS) / (1 << 20)
	}
	after.since(m.before).without(m.approved).report(m.values, n)
	return nil
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
