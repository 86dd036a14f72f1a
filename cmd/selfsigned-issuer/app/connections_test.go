// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"net"
	"net/http"
	"testing"
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
