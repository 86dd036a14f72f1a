// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"container/list"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
)

// connections limits the number of connections of a server. A new connection is always accepted, so that no
// client can exclude others. Above the limit, the connection whose state has not changed for the longest
// time is closed, among those of the address with the most connections.
type connections struct {
	limit int

	mu      sync.Mutex
	order   *list.List // of *connection, by the time of the last change of state
	entries map[net.Conn]*list.Element
	perHost map[string]int
}

type connection struct {
	net.Conn
	host string
}

func newConnections(limit int) *connections {
	return &connections{limit: limit, order: list.New(), entries: map[net.Conn]*list.Element{}, perHost: map[string]int{}}
}

// changed is the ConnState hook of the server. A connection becomes active at the end of a request header,
// and idle at the end of the response.
func (c *connections) changed(conn net.Conn, state http.ConnState) {
	if secure, ok := conn.(*tls.Conn); ok {
		conn = secure.NetConn() // Close of a tls.Conn waits to send an alert
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch state {
	case http.StateNew:
		c.add(conn)
	case http.StateActive, http.StateIdle:
		if entry, ok := c.entries[conn]; ok {
			c.order.MoveToBack(entry)
		}
		if bounded, ok := conn.(*boundedConn); ok {
			bounded.received.Store(0)
		}
	case http.StateClosed, http.StateHijacked:
		c.remove(conn)
	}
}

func (c *connections) add(conn net.Conn) {
	host := hostOf(conn.RemoteAddr().String())
	c.entries[conn] = c.order.PushBack(&connection{conn, host})
	c.perHost[host]++
	if c.order.Len() > c.limit {
		stalest := c.stalest()
		c.remove(stalest)
		_ = stalest.Close() // an error changes nothing
	}
}

func (c *connections) remove(conn net.Conn) {
	entry, ok := c.entries[conn]
	if !ok {
		return
	}
	delete(c.entries, conn)
	host := c.order.Remove(entry).(*connection).host
	if c.perHost[host]--; c.perHost[host] == 0 {
		delete(c.perHost, host)
	}
}

// hostOf returns an address without its port.
func hostOf(address string) string {
	if host, _, err := net.SplitHostPort(address); err == nil {
		return host
	}
	return address
}

// stalest returns the connection to close.
func (c *connections) stalest() net.Conn {
	var stalest *connection
	for entry := c.order.Front(); entry != nil; entry = entry.Next() {
		if candidate := entry.Value.(*connection); stalest == nil || c.perHost[candidate.host] > c.perHost[stalest.host] {
			stalest = candidate
		}
	}
	return stalest.Conn
}

// boundedConn fails after maxReceivedBytes without a change of its state, such as the end of a
// request's header. crypto/tls buffers 256 KiB of a client's certificates before it verifies them.
type boundedConn struct {
	net.Conn
	received atomic.Int64
}

var errTooManyBytes = errors.New("the client sends more than a handshake and a request need")

// Read implements net.Conn.
func (c *boundedConn) Read(buffer []byte) (int, error) {
	left := maxReceivedBytes - c.received.Load()
	if left <= 0 {
		return 0, errTooManyBytes
	}
	n, err := c.Conn.Read(buffer[:min(int64(len(buffer)), left)])
	c.received.Add(int64(n))
	return n, err
}

// boundedListener bounds what its connections receive.
type boundedListener struct{ net.Listener }

// Accept implements net.Listener.
func (l boundedListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &boundedConn{Conn: conn}, nil
}
