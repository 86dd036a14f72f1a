// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"fmt"
	"io"

	"github.com/go-logr/logr"
	"github.com/spf13/pflag"
)

// UsageError is an error in the command line.
type UsageError struct{ err error }

func (e UsageError) Error() string { return e.err.Error() + "; see --help" }

// Unwrap returns the error without the hint.
func (e UsageError) Unwrap() error { return e.err }

// Run parses the command line and runs selfsigned-issuer until ctx ends. The text of an error is for users.
func Run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var o options
	flags := pflag.NewFlagSet("selfsigned-issuer", pflag.ContinueOnError)
	flags.SetOutput(io.Discard) // main prints the errors
	flags.SortFlags = false
	o.addFlags(flags)
	if err := flags.Parse(args); err != nil {
		return UsageError{err}
	}
	if flags.NArg() > 0 {
		return UsageError{fmt.Errorf("unexpected argument %q", flags.Arg(0))}
	}
	if o.help {
		_, err := io.WriteString(stdout, help())
		return err
	}
	if o.version {
		_, err := fmt.Fprintln(stdout, "selfsigned-issuer", version())
		return err
	}
	if err := o.validate(); err != nil {
		return UsageError{err}
	}
	handler := newLogHandler(stderr, o.logFormat, o.logLevel)
	setLibraryLoggers(handler, o.logLevel)
	return runManager(ctx, o, logr.FromSlogHandler(handler))
}
