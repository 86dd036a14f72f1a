// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

// Command kubectl-selfsigned is a kubectl plugin for private PKIs with roots of selfsigned-issuer.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/cert-manager/selfsigned-issuer/cmd/kubectl-selfsigned/internal/command"
)

// Exit statuses, besides 0, as those of selfsigned-issuer.
const (
	exitFailure = 1
	exitUsage   = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := command.Run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, "kubectl-selfsigned:", err)
	if errors.As(err, &command.UsageError{}) {
		os.Exit(exitUsage)
	}
	os.Exit(exitFailure)
}
