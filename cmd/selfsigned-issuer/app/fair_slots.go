// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"net"
	"sync"
	"time"
)

// slotTimeout bounds the wait for a slot.
const slotTimeout = 2 * time.Second

// fairSlots limits how much is done at the same time, in total and for one remote address: who
// uses all slots of an address waits for these, not for those of others.
type fairSlots struct {
	all     chan struct{}
	perHost int

	mu    sync.Mutex
	hosts map[string]*hostSlots
}

type hostSlots struct {
	slots chan struct{}
	users int // who have a slot or wait for one
}

func newFairSlots(total, perHost int) *fairSlots {
	return &fairSlots{all: make(chan struct{}, total), perHost: perHost, hosts: map[string]*hostSlots{}}
}

// acquire waits for a slot, for slotTimeout or until ctx ends.
func (f *fairSlots) acquire(ctx context.Context, address string) (release func(), ok bool) {
	ctx, cancel := context.WithTimeout(ctx, slotTimeout)
	defer cancel()
	host := f.enter(address)
	if !take(ctx, host.slots) {
		f.leave(address, host)
		return nil, false
	}
	if !take(ctx, f.all) {
		<-host.slots
		f.leave(address, host)
		return nil, false
	}
	return func() {
		<-f.all
		<-host.slots
		f.leave(address, host)
	}, true
}

func take(ctx context.Context, slots chan struct{}) bool {
	select {
	case slots <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (f *fairSlots) enter(address string) *hostSlots {
	f.mu.Lock()
	defer f.mu.Unlock()
	host := f.hosts[address]
	if host == nil {
		host = &hostSlots{slots: make(chan struct{}, f.perHost)}
		f.hosts[address] = host
	}
	host.users++
	return host
}

func (f *fairSlots) leave(address string, host *hostSlots) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if host.users--; host.users == 0 {
		delete(f.hosts, address)
	}
}

// hostOf returns an address without its port.
func hostOf(address string) string {
	if host, _, err := net.SplitHostPort(address); err == nil {
		return host
	}
	return address
}
