// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/process"
)

const (
	probeInterval = 50 * time.Millisecond
	// probeTimeout is for a process that hangs.
	probeTimeout = 5 * time.Second
)

// await probes a process until it is ready, the process ends, or ctx ends. The error has the last
// error of the probe and the last log lines.
func await(ctx context.Context, p *process.Process, probe func(context.Context) error) error {
	ticker := time.NewTicker(probeInterval)
	defer ticker.Stop()
	for {
		err := probeOnce(ctx, probe)
		if err == nil {
			return nil
		}
		select {
		case <-p.Done():
			if p.Err() != nil {
				return p.Err()
			}
			return fmt.Errorf("%s was stopped before it was ready", p.Name())
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready (%w): %w; the last lines of %s:\n%s",
				p.Name(), context.Cause(ctx), err, p.LogPath(), p.Tail(10))
		case <-ticker.C:
		}
	}
}

func probeOnce(ctx context.Context, probe func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	return probe(ctx)
}

func get(ctx context.Context, client *http.Client, url string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("GET %s: %s: %s", url, response.Status, body)
	}
	return body, nil
}
