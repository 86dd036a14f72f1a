// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

// Command certmanager runs the controllers and the webhook of cert-manager as one program for the
// end-to-end tests.
//
// cert-manager publishes its commands only as container images: their modules replace cert-manager
// by a local directory, so `go install` rejects them. This program uses the same packages. Its
// module path is below cert-manager's, because it imports the webhook from cert-manager's internal
// packages.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/pflag"
)

const (
	exitFailure = 1
	exitUsage   = 2
)

func main() {
	opts, err := parseOptions(os.Args[1:])
	if errors.Is(err, pflag.ErrHelp) {
		return
	}
	if err != nil {
		exit(exitUsage, err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, opts); err != nil {
		exit(exitFailure, err)
	}
}

func exit(code int, err error) {
	fmt.Fprintln(os.Stderr, "certmanager:", err)
	os.Exit(code)
}
