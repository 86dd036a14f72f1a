// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

// Command bench measures the plugin beside cert-manager's in-tree SelfSigned issuer.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/console"
	"github.com/cert-manager/selfsigned-issuer/e2e/tools/bench/experiments"
	"github.com/cert-manager/selfsigned-issuer/e2e/tools/bench/report"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, console.New(os.Stdout), os.Args[1:])
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, c *console.Console, args []string) error {
	options, out, err := parse(args)
	if err != nil {
		return err
	}
	options.Report = func(format string, args ...any) {
		c.Plain(time.Now().Format("15:04:05 ") + fmt.Sprintf(format, args...))
	}
	c.Plain(fmt.Sprintf("This takes about %s on 2 cores, when all programs are built. Let nothing else run.",
		options.Estimate().Round(time.Minute)))
	result, err := experiments.Run(ctx, options)
	if len(result.Runs) == 0 {
		return err
	}
	summaries := report.Summarize(result.Runs)
	c.Plain("\n" + report.Table(summaries) + "\n" + report.APITable(summaries) + "\n" + experiments.Targets(summaries))
	c.Plain(result.Versions)
	return errors.Join(err, write(c, out, result.Runs, summaries))
}

func parse(args []string) (options experiments.Options, out string, err error) {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.IntVar(&options.Requests, "n", 1000, "requests in a measurement; trickle takes a fifth, in-tree at its default flags a tenth")
	flags.IntVar(&options.Rounds, "rounds", 3, "how often everything is measured")
	flags.IntVar(&options.ForeignSecrets, "foreign", 10000, "foreign Secrets in the experiment secrets")
	only := flags.String("only", strings.Join(experiments.Experiments(), ","), "the experiments")
	sizes := flags.String("scale", "100,1000,10000", "requests in the experiment scale")
	flags.StringVar(&options.Profiles, "profiles", "", "existing folder for CPU profiles of the API server, which slow it down; empty: none")
	flags.StringVar(&out, "out", "../bin", "folder for benchmark.csv and benchmark.svg")
	if err := flags.Parse(args); err != nil {
		return options, out, err
	}
	options.Only = strings.Split(*only, ",")
	for size := range strings.SplitSeq(*sizes, ",") {
		number, err := strconv.Atoi(size)
		if err != nil {
			return options, out, fmt.Errorf("-scale: %w", err)
		}
		options.ScaleSizes = append(options.ScaleSizes, number)
	}
	return options, out, options.Validate()
}

func write(c *console.Console, folder string, runs []report.Run, summaries []report.Summary) error {
	if err := os.MkdirAll(folder, 0o750); err != nil {
		return err
	}
	return errors.Join(
		writeFile(c, filepath.Join(folder, "benchmark.csv"), func(out io.Writer) error {
			return report.WriteCSV(out, runs)
		}),
		writeFile(c, filepath.Join(folder, "benchmark.svg"), func(out io.Writer) error {
			return report.WriteSVG(out, experiments.Charts(summaries))
		}))
}

func writeFile(c *console.Console, path string, content func(io.Writer) error) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	c.Plain("writing " + path)
	return errors.Join(content(file), file.Close())
}
