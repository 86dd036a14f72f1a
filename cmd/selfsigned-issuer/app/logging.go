// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"flag"
	"io"
	"log/slog"
	"strconv"
	"strings"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
)

// newLogHandler returns the handler of all log lines. Verbosity v of logr is level -v of slog.
func newLogHandler(out io.Writer, format string, verbosity int) slog.Handler {
	options := &slog.HandlerOptions{Level: slog.Level(-verbosity)}
	if format == formatJSON {
		return slog.NewJSONHandler(out, options)
	}
	return slog.NewTextHandler(out, options)
}

// setLibraryLoggers sets the global loggers of controller-runtime and klog.
func setLibraryLoggers(handler slog.Handler, verbosity int) {
	ctrl.SetLogger(logr.FromSlogHandler(handler))
	klogFlags := flag.NewFlagSet("klog", flag.ContinueOnError)
	klog.InitFlags(klogFlags)
	_ = klogFlags.Set("v", strconv.Itoa(verbosity)) // an integer is always accepted
	klog.SetLogger(logr.FromSlogHandler(withoutReviews{handler}))
}

// withoutReviews drops the library's line about each failed review of a metrics client, which
// metrics_access.go logs once a minute.
type withoutReviews struct{ slog.Handler }

// Handle writes a line.
func (h withoutReviews) Handle(ctx context.Context, line slog.Record) error {
	if strings.HasPrefix(line.Message, "Failed to make webhook auth") {
		return nil
	}
	return h.Handler.Handle(ctx, line)
}

// WithAttrs keeps the filter.
func (h withoutReviews) WithAttrs(attrs []slog.Attr) slog.Handler {
	return withoutReviews{h.Handler.WithAttrs(attrs)}
}

// WithGroup keeps the filter.
func (h withoutReviews) WithGroup(name string) slog.Handler {
	return withoutReviews{h.Handler.WithGroup(name)}
}
