// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package experiments

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/cert-manager/selfsigned-issuer/e2e/tools/bench/report"
)

// Run measures everything that the options ask for. When it fails or ctx ends, it returns
// what has been measured until then beside the error.
func Run(ctx context.Context, options Options) (*Result, error) {
	b := &bench{Options: options, result: &Result{}}
	err := b.start(ctx)
	if err == nil {
		err = b.measure(ctx)
	}
	if stopErr := b.stop(); err == nil {
		err = stopErr
	}
	return b.result, err
}

// Result is what was measured, and on what.
type Result struct {
	Runs     []report.Run
	Versions string
}

// bench is one execution of the benchmark.
type bench struct {
	Options
	shared
	result *Result
}

// measure leaves what takes longest for the end.
func (b *bench) measure(ctx context.Context) error {
	for _, part := range []func(context.Context) error{
		func(ctx context.Context) error { return b.inRounds(ctx, b.plan()) },
		b.measureDefaultFlags,
		b.measureAmongSecrets,
		func(ctx context.Context) error { return b.inRounds(ctx, b.planScale()) },
	} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	return nil
}

// apf is the argument of the API server on which cert-manager minds its flags or not.
const apf = "--enable-priority-and-fairness="

func (b *bench) measureDefaultFlags(ctx context.Context) error {
	if !b.runs(Online) {
		return nil
	}
	b.Report.Say("restarting the API server without API Priority and Fairness: cert-manager only minds its flags there")
	if err := b.cluster.RestartAPIServerWith(ctx, apf+"false"); err != nil {
		return err
	}
	if err := b.inRounds(ctx, b.planDefaultFlags()); err != nil {
		return err
	}
	return b.cluster.RestartAPIServerWith(ctx, apf+"true")
}

func (b *bench) measureAmongSecrets(ctx context.Context) error {
	if !b.runs(Secrets) {
		return nil
	}
	b.Report.Say("creating %d Secrets of 8 KiB that nobody asks for", b.ForeignSecrets)
	namespace, err := b.createForeignSecrets(ctx)
	if err != nil {
		return err
	}
	if err := b.inRounds(ctx, b.planSecrets()); err != nil {
		return err
	}
	return b.deleteAll(ctx, namespace, &corev1.Secret{})
}

func (b *bench) inRounds(ctx context.Context, plan []measurement) error {
	for round := 1; round <= b.Rounds; round++ {
		for _, m := range plan {
			if err := b.one(ctx, round, m); err != nil {
				return err
			}
		}
	}
	return nil
}

// measurement is one contestant in one experiment.
type measurement struct {
	experiment string
	contestant contestant
	requests   int
	measure    func(context.Context, *batch, contestant) (map[string]float64, error)
}

// online is true when the requests come while the contestant runs.
func (m measurement) online() bool { return m.experiment == Online || m.experiment == Trickle }

func (b *bench) plan() []measurement {
	var plan []measurement
	if b.runs(Online) {
		plan = append(plan,
			measurement{Online, b.approved(b.approvalAlone()), b.Requests, b.online},
			measurement{Online, b.inTreeTuned(), b.Requests, b.online},
			measurement{Online, b.approved(b.plugin()), b.Requests, b.online})
	}
	if b.runs(Backlog) {
		plan = append(plan,
			measurement{Backlog, b.floor(), b.Requests, b.backlog},
			measurement{Backlog, b.writeAlone(), b.Requests, b.backlog},
			measurement{Backlog, b.inTreeTuned(), b.Requests, b.backlog},
			measurement{Backlog, b.plugin(), b.Requests, b.backlog})
	}
	if b.runs(Trickle) {
		plan = append(plan,
			measurement{Trickle, b.inTreeTuned(), b.trickleRequests(), b.trickle},
			measurement{Trickle, b.approved(b.plugin()), b.trickleRequests(), b.trickle})
	}
	return plan
}

func (b *bench) planScale() []measurement {
	var plan []measurement
	if b.runs(Scale) {
		for _, size := range b.ScaleSizes {
			plan = append(plan, measurement{ScaleOf(size), b.plugin(), size, b.backlog})
		}
	}
	return plan
}

// ScaleOf returns the name of the experiment Scale in one size.
func ScaleOf(size int) string { return fmt.Sprintf("%s %d", Scale, size) }

func (b *bench) planSecrets() []measurement {
	return []measurement{
		{Secrets, b.inTreeTuned(), b.Requests, b.backlog},
		{Secrets, b.plugin(), b.Requests, b.backlog},
	}
}

func (b *bench) planDefaultFlags() []measurement {
	return []measurement{{Online, b.inTreeDefault(), b.defaultFlagsRequests(), b.online}}
}

// one makes the requests of a measurement, measures, and tidies up.
func (b *bench) one(ctx context.Context, round int, m measurement) error {
	start := time.Now()
	batch, err := b.newBatch(ctx, m)
	if err != nil {
		return fmt.Errorf("%s, %s: making %d requests: %w", m.experiment, m.contestant.name(), m.requests, err)
	}
	awaitProfile := b.profile(ctx, round, m)
	values, err := m.measure(ctx, batch, m.contestant)
	if err == nil {
		err = awaitProfile()
	}
	if err != nil {
		return fmt.Errorf("%s, %s: %w", m.experiment, m.contestant.name(), err)
	}
	values[report.Requests] = float64(m.requests)
	b.result.Runs = append(b.result.Runs, report.Run{
		Experiment: m.experiment, Contestant: m.contestant.name(), Round: round, Values: values,
	})
	if err := batch.delete(ctx); err != nil {
		return fmt.Errorf("tidying up: %w", err)
	}
	b.Report.Say("round %d of %d: %-12s %-22s %7.1f a second, p50 %6.3f s, p99 %6.3f s (%.0f s in all)",
		round, b.Rounds, m.experiment, m.contestant.name(), values[report.Rate], values[report.P50], values[report.P99],
		time.Since(start).Seconds())
	return nil
}
