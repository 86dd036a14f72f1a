// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"container/list"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
)

// connections limits how many connections a server holds. A new connection is never refused:
// clients that occupy connections must not keep others out. When there are too many, the one
// whose state has not changed for the longest time is closed, among those of the address that
// holds the most.
type connections struct {
	limit int

	mu      sync.Mutex
	order   *list.List // of *connection, the latest change of state last
	entries map[net.Conn]*list.Element
	held    map[string]int // by remote address without the port
}

type connection struct {
	net.Conn
	host string
}

func newConnections(limit int) *connections {
	return &connections{limit: limit, order: list.New(), entries: map[net.Conn]*list.Element{}, held: map[string]int{}}
}

// changed is the server's ConnState hook. A connection becomes active with the end of a
// request's header, and idle with the end of the response.
func (c *connections) changed(conn net.Conn, state http.ConnState) {
	if secure, ok := conn.(*tls.Conn); ok {
		conn = secure.NetConn() // whose Close does not wait to send an alert
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
	case http.StateClosed, http.StateHijacked:
		c.remove(conn)
	}
}

func (c *connections) add(conn net.Conn) {
	host := hostOf(conn.RemoteAddr().String())
	c.entries[conn] = c.order.PushBack(&connection{conn, host})
	c.held[host]++
	if c.order.Len() > c.limit {
		stalest := c.stalest()
		c.remove(stalest)
		_ = stalest.Close() // it is lost either way
	}
}

func (c *connections) remove(conn net.Conn) {
	entry, ok := c.entries[conn]
	if !ok {
		return
	}
	delete(c.entries, conn)
	host := c.order.Remove(entry).(*connection).host
	if c.held[host]--; c.held[host] == 0 {
		delete(c.held, host)
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
		if candidate := entry.Value.(*connection); stalest == nil || c.held[candidate.host] > c.held[stalest.host] {
			stalest = candidate
		}
	}
	return stalest.Conn
}
