// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/go-logr/logr"
)

// fakeConnection is known by its address and knows whether it was closed.
type fakeConnection struct {
	net.Conn
	address string
	closed  bool
}

func (c *fakeConnection) RemoteAddr() net.Addr {
	address, _ := net.ResolveTCPAddr("tcp", c.address) // numeric
	return address
}

func (c *fakeConnection) Close() error {
	c.closed = true
	return nil
}

// TestConnections: beyond the limit the stalest connection of the busiest address is closed,
// and the new one never.
func TestConnections(t *testing.T) {
	t.Parallel()
	limited := newConnections(3)
	opened := func(address string) *fakeConnection {
		connection := &fakeConnection{address: address}
		limited.changed(connection, http.StateNew)
		return connection
	}
	expect := func(want bool, connections ...*fakeConnection) {
		t.Helper()
		for _, connection := range connections {
			if connection.closed != want {
				t.Errorf("%s: closed is %v, want %v", connection.address, connection.closed, want)
			}
		}
	}
	prometheus := opened("192.0.2.1:1")
	first, second := opened("192.0.2.9:1"), opened("192.0.2.9:2")
	limited.changed(first, http.StateActive)
	third := opened("192.0.2.9:3")
	expect(true, second)
	expect(false, prometheus, first, third)
	fourth := opened("192.0.2.9:4")
	expect(true, first)
	expect(false, prometheus, third, fourth)
	limited.changed(third, http.StateClosed)
	expect(false, opened("192.0.2.9:5"), prometheus, fourth)
	kubelet := opened("192.0.2.2:1")
	expect(true, fourth)
	expect(false, prometheus, kubelet)
}

// TestHandshakeIsBounded: a client without a credential cannot make the server buffer a large
// handshake. What a right client sends is not limited in total.
func TestHandshakeIsBounded(t *testing.T) {
	t.Parallel()
	certificate, err := generateCertificate()
	if err != nil {
		t.Fatal(err)
	}
	secure := &tls.Config{Certificates: []tls.Certificate{certificate}, ClientAuth: tls.RequireAnyClientCert, MinVersion: tls.VersionTLS12}
	server, err := newServer(t.Context(), "test", "127.0.0.1:0", http.NotFoundHandler(), secure, logr.Discard())
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() { stopped <- server.Start(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-stopped; err != nil {
			t.Error(err)
		}
	})
	// get sends requests over one connection, with a client certificate of about so many bytes.
	get := func(size, requests int) error {
		chain := certificate
		chain.Certificate = slices.Repeat(chain.Certificate, size/len(chain.Certificate[0]))
		transport := &http.Transport{MaxConnsPerHost: 1, TLSClientConfig: &tls.Config{
			InsecureSkipVerify:   true,
			GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &chain, nil },
		}}
		defer transport.CloseIdleConnections()
		for range requests {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+server.Listener.Addr().String(), http.NoBody)
			if err != nil {
				return err
			}
			request.Header.Set("Large", strings.Repeat("a", 8<<10))
			response, err := transport.RoundTrip(request)
			if err != nil {
				return err
			}
			if err := response.Body.Close(); err != nil {
				return err
			}
		}
		return nil
	}
	if err := get(10<<10, 20); err != nil {
		t.Errorf("a usual client: %v", err)
	}
	if err := get(100<<10, 1); err == nil {
		t.Error("a chain of 100 KiB was accepted")
	}
}
