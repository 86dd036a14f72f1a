// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package secretscan looks for private keys where none may be: in logs, events, conditions,
// metrics and profiles.
package secretscan

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
)

// window is how many bytes of a written-out key give it away. It is short enough to fit into
// a line of a hex dump, and long enough not to occur by chance.
const window = 16

// Finder knows private keys and finds them in any text. Its methods may be called from any
// goroutine.
type Finder struct {
	mu    sync.Mutex
	known map[string]bool            // secrets, so that none is added twice
	parts map[[window]byte]*fragment // every window of every way to write a secret
}

type fragment struct{ origin, form string }

// NewFinder returns a Finder that knows no key.
func NewFinder() *Finder {
	return &Finder{known: map[string]bool{}, parts: map[[window]byte]*fragment{}}
}

// Add makes a secret known. origin is what a finding calls it.
func (f *Finder) Add(origin string, secret []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.known[string(secret)] {
		return
	}
	f.known[string(secret)] = true
	for form, texts := range writtenOut(secret) {
		found := &fragment{origin, form}
		for _, written := range texts {
			text := []byte(written)
			for i := 0; i+window <= len(text); i++ {
				f.parts[[window]byte(text[i:])] = found
			}
		}
	}
}

// Len is how many secrets are known.
func (f *Finder) Len() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.known)
}

// Find returns a sentence for each secret, and way to write it, that text holds a piece of.
func (f *Finder) Find(name string, text []byte) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	found := map[string]bool{}
	for i := 0; i+window <= len(text); i++ {
		if part := f.parts[[window]byte(text[i:])]; part != nil {
			found[fmt.Sprintf("%s holds %s, as %s, at byte %d of its line %d", name, part.origin, part.form,
				i-bytes.LastIndexByte(text[:i], '\n'), 1+bytes.Count(text[:i], []byte("\n")))] = true
			i += window
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// FindIn is Find for a stream, which it reads to its end.
func (f *Finder) FindIn(name string, stream io.Reader) ([]string, error) {
	text, err := io.ReadAll(stream)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	return f.Find(name, text), nil
}
