// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build unix && !linux

package process

import (
	"errors"
	"fmt"
)

func readUsage(int) (Usage, error) {
	return Usage{}, fmt.Errorf("CPU and memory of a running process: %w", errors.ErrUnsupported)
}
