// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"context"
	"fmt"
	"time"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/poll"
)

// probeTimeout is for a process that hangs.
const probeTimeout = 5 * time.Second

// Await probes the process until it is ready, the process ends, or ctx ends. Then the error has the
// last error of the probe and the last log lines.
func (p *Process) Await(ctx context.Context, probe func(context.Context) error) error {
	err := poll.UntilStopped(ctx, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, probeTimeout)
		defer cancel()
		return probe(ctx)
	}, p.ended)
	if err != nil && p.Running() {
		return fmt.Errorf("%s is not ready: %w; the last lines of %s:\n%s", p.Name(), err, p.LogPath(), p.Tail(tailLines))
	}
	return err
}

// ended returns an error if the process has ended.
func (p *Process) ended() error {
	if err := p.Err(); err != nil || p.Running() {
		return err
	}
	return fmt.Errorf("%s was stopped before it was ready", p.Name())
}
