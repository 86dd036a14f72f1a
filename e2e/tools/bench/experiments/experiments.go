// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package experiments

import (
	"context"
	"errors"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/cert-manager/selfsigned-issuer/e2e/tools/bench/report"
)

// backlog starts the contestant with all requests approved. Times count from the start of
// its process.
func (b *bench) backlog(ctx context.Context, batch *batch, c contestant) (map[string]float64, error) {
	return b.measured(ctx, batch, c, func(m *meter) ([]float64, error) {
		if err := m.begin(ctx); err != nil {
			return nil, err
		}
		var err error
		if m.signer, err = c.start(ctx, m.batch); err != nil {
			return nil, err
		}
		if err := m.timeline.await(ctx); err != nil {
			return nil, err
		}
		latencies := m.timeline.sinceStart(m.signer.started)
		m.values[report.First] = slices.Min(latencies)
		m.duration = slices.Max(latencies)
		return latencies, nil
	})
}

// online makes the requests as fast as can be while cert-manager and the contestant run.
// cert-manager's approver approves each of them when it sees it.
func (b *bench) online(ctx context.Context, batch *batch, c contestant) (map[string]float64, error) {
	return b.measured(ctx, batch, c, func(m *meter) ([]float64, error) {
		return b.whileRunning(ctx, m, c, func(ctx context.Context) error {
			return concurrently(ctx, len(batch.requests), batch.submit)
		})
	})
}

const trickleInterval = 100 * time.Millisecond

// trickle makes a request every now and then, while cert-manager and the contestant run.
func (b *bench) trickle(ctx context.Context, batch *batch, c contestant) (map[string]float64, error) {
	return b.measured(ctx, batch, c, func(m *meter) ([]float64, error) {
		return b.whileRunning(ctx, m, c, func(ctx context.Context) error {
			ticker := time.NewTicker(trickleInterval)
			defer ticker.Stop()
			group, ctx := errgroup.WithContext(ctx)
			for i := range batch.requests {
				group.Go(func() error { return batch.submit(ctx, i) })
				select {
				case <-ticker.C:
				case <-ctx.Done():
				}
			}
			return group.Wait()
		})
	})
}

// whileRunning starts the contestant and lets the requests come.
func (b *bench) whileRunning(ctx context.Context, m *meter, c contestant, come func(context.Context) error) ([]float64, error) {
	var err error
	if m.signer, err = c.start(ctx, m.batch); err != nil {
		return nil, err
	}
	if err := m.begin(ctx); err != nil {
		return nil, err
	}
	m.approved = len(m.batch.requests)
	if err := come(ctx); err != nil {
		return nil, err
	}
	if err := m.timeline.await(ctx); err != nil {
		return nil, err
	}
	m.duration = m.timeline.span()
	return m.timeline.latencies(), nil
}

// measured runs one measurement with a new meter, and stops the contestant.
func (b *bench) measured(ctx context.Context, batch *batch, c contestant, run func(*meter) ([]float64, error)) (map[string]float64, error) {
	timeline, err := batch.observe(ctx)
	if err != nil {
		return nil, err
	}
	m := &meter{batch: batch, timeline: timeline, values: map[string]float64{}}
	latencies, err := run(m)
	if err == nil {
		err = m.end(ctx, latencies)
	}
	return m.values, errors.Join(err, c.stop())
}
