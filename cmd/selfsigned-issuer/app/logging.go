// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"flag"
	"io"
	"log/slog"
	"strconv"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
)

// newLogger returns the process's one log, and sends the libraries' logs there as well.
// logr's verbosity v is slog's level -v.
func newLogger(out io.Writer, format string, verbosity int) logr.Logger {
	options := &slog.HandlerOptions{Level: slog.Level(-verbosity)}
	var handler slog.Handler = slog.NewTextHandler(out, options)
	if format == formatJSON {
		handler = slog.NewJSONHandler(out, options)
	}
	logger := logr.FromSlogHandler(handler)
	ctrl.SetLogger(logger)

	klogFlags := flag.NewFlagSet("klog", flag.ContinueOnError)
	klog.InitFlags(klogFlags)
	_ = klogFlags.Set("v", strconv.Itoa(verbosity)) // an integer is always accepted
	klog.SetLogger(logger)
	return logger
}
