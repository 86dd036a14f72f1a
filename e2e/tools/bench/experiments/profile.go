// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package experiments

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// profileSeconds is how long a profile lasts, from the beginning of the measurement.
const profileSeconds = 5

// profile writes where the API server's CPU time goes in a measurement, for `go tool pprof`.
// It returns a function that waits for the profile.
func (b *bench) profile(ctx context.Context, round int, m measurement) func() error {
	if b.Profiles == "" {
		return func() error { return nil }
	}
	name := fmt.Sprintf("%s-%s-%d.pprof", m.experiment, m.contestant.name(), round)
	path := filepath.Join(b.Profiles, strings.NewReplacer(" ", "-", ",", "").Replace(name))
	done := make(chan error, 1)
	go func() {
		content, err := b.cluster.Get(ctx, fmt.Sprintf("/debug/pprof/profile?seconds=%d", profileSeconds))
		if err == nil {
			err = os.WriteFile(path, content, 0o600)
		}
		done <- err
	}()
	return func() error { return <-done }
}
