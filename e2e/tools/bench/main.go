// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

// Command bench measures selfsigned-issuer and cert-manager's in-tree SelfSigned issuer.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/build"
	"github.com/cert-manager/selfsigned-issuer/e2e/tools/bench/experiments"
	"github.com/cert-manager/selfsigned-issuer/e2e/tools/bench/report"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	options := experiments.Options{Report: func(format string, args ...any) {
		fmt.Println(time.Now().Format("15:04:05 ") + fmt.Sprintf(format, args...))
	}}
	flag.IntVar(&options.Requests, "n", 1000, "requests in a measurement; trickle and secret have a fifth, scale has ten times as many")
	flag.IntVar(&options.Rounds, "rounds", 3, "how often each experiment is run")
	flag.IntVar(&options.Foreign, "foreign", 20000, "objects of each kind in the experiment foreign")
	flag.StringVar(&options.Before, "before", "", "commit of an earlier version to measure too")
	only := flag.String("only", "online,backlog,scale,trickle,secret,foreign", "experiments to run")
	flag.StringVar(&options.Contestants, "contestants", "", "measure only contestants whose names begin with this")
	update := flag.Bool("update", false, "write the results to docs/benchmark.md and docs/benchmark.svg")
	flag.Parse()
	options.Only = strings.Split(*only, ",")
	results, err := experiments.Run(ctx, options)
	fmt.Println("\n" + results.Markdown())
	if !*update || len(results.Runs) == 0 {
		return err
	}
	return errors.Join(err, write(results)) // also after an error: the runs take an hour
}

func write(results report.Results) error {
	root, err := build.Root()
	if err != nil {
		return err
	}
	page, err := os.ReadFile(root + "/docs/benchmark.md")
	if err != nil {
		return err
	}
	return errors.Join(os.WriteFile(root+"/docs/benchmark.md", []byte(report.Update(string(page), results.Markdown())), 0o600),
		os.WriteFile(root+"/docs/benchmark.svg", []byte(results.SVG()), 0o600))
}
