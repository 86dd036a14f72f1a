// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

// Command selfsigned-issuer is a cert-manager external issuer for self-signed certificates.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/cert-manager/selfsigned-issuer/cmd/selfsigned-issuer/app"
)

// Exit statuses, besides 0 for a clean stop.
const (
	exitFailure = 1
	exitUsage   = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := app.Run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, "selfsigned-issuer:", err)
	if errors.As(err, &app.UsageError{}) {
		os.Exit(exitUsage)
	}
	os.Exit(exitFailure)
}
