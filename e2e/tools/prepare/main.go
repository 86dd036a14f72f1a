// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

// Command prepare builds the programs of the test environment and shows the progress, which the
// test runner would not print.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/build"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/console"
)

// core leaves out what only other tests need.
var core = flag.Bool("core", false, "only what the core end-to-end tests need")

func main() {
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, console.New(os.Stdout))
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "prepare:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, c *console.Console) error {
	programs := []build.Program{build.Etcd(), build.KubeAPIServer(), build.CertManager(), build.IssuerRace()}
	if !*core {
		programs = append(programs, build.KubeControllerManager(), build.TrustManager(), build.ApproverPolicy(), build.KubectlPlugin())
	}
	go build.Download(ctx, c.Printf, programs[1:]...)
	for _, program := range programs {
		if _, err := build.Build(ctx, program, c.Printf); err != nil {
			return err
		}
	}
	return nil
}
