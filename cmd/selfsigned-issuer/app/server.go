// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"crypto/tls"
	"log"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/time/rate"
	"sigs.k8s.io/controller-runtime/pkg/manager"
)

// Limits of a server, to which every Pod of the cluster may be able to connect. A client that uses all of
// them needs about 40 MiB of memory.
const (
	maxConnections = 512
	maxHeaderBytes = 12 << 10 // net/http adds 4 KiB

	// maxReceivedBytes is for a TLS handshake, in which a client may send a chain of certificates,
	// and the header of the first request.
	maxReceivedBytes = 32 << 10

	readHeaderTimeout = 3 * time.Second // also for the TLS handshake
	requestTimeout    = 10 * time.Second
	idleTimeout       = 2 * time.Minute // longer than the usual interval between scrapes

	// serverStopTimeout limits how long started responses delay the exit.
	serverStopTimeout = time.Second

	// repeatedLogInterval is the interval between log lines that clients can cause.
	repeatedLogInterval = time.Minute
)

// newServer returns a server that already listens. Without a TLS configuration, it serves HTTP.
func newServer(ctx context.Context, name, address string, handler http.Handler, secure *tls.Config, logger logr.Logger) (*manager.Server, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	if secure != nil {
		listener = tls.NewListener(boundedListener{listener}, secure)
	}
	requests, cancel := context.WithCancel(context.WithoutCancel(ctx))
	server := &http.Server{
		Handler:           handler,
		MaxHeaderBytes:    maxHeaderBytes,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       requestTimeout,
		WriteTimeout:      requestTimeout,
		IdleTimeout:       idleTimeout,
		Protocols:         new(http.Protocols),
		ConnState:         newConnections(maxConnections).changed,
		BaseContext:       func(net.Listener) context.Context { return requests },
		ErrorLog:          log.New(newRepeatedLog(logger.WithValues("server", name), "A connection failed"), "", 0),
	}
	server.Protocols.SetHTTP1(true) // with HTTP/2, one connection would use more memory
	server.RegisterOnShutdown(cancel)
	timeout := serverStopTimeout
	return &manager.Server{Name: name, Server: server, Listener: listener, ShutdownTimeout: &timeout}, nil
}

// repeatedLog logs a message that clients can cause at most once in repeatedLogInterval, with the latest
// error and the number of errors.
type repeatedLog struct {
	logger  logr.Logger
	message string

	count     atomic.Int64
	sometimes rate.Sometimes
}

func newRepeatedLog(logger logr.Logger, message string) *repeatedLog {
	return &repeatedLog{logger: logger, message: message, sometimes: rate.Sometimes{Interval: repeatedLogInterval}}
}

func (l *repeatedLog) add(err string) {
	l.count.Add(1)
	l.sometimes.Do(func() { l.logger.Info(l.message, "error", err, "count", l.count.Swap(0)) })
}

// Write receives a line of net/http.
func (l *repeatedLog) Write(line []byte) (int, error) {
	l.add(strings.TrimSpace(strings.TrimPrefix(string(line), "http: ")))
	return len(line), nil
}
