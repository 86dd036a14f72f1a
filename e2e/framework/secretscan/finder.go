// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package secretscan searches for private keys in logs, events, conditions, metrics and profiles.
package secretscan

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"sync"
)

// window is the length in bytes of a match: short enough for a line of a hex dump, and long enough
// not to occur by chance.
const window = 16

// Finder finds private keys in text. Its methods are safe for concurrent use.
type Finder struct {
	mu    sync.Mutex
	known map[string]bool            // the secrets
	parts map[[window]byte]*fragment // each window of each format of a secret
}

type fragment struct{ origin, form string }

// NewFinder returns a Finder without keys.
func NewFinder() *Finder {
	return &Finder{known: map[string]bool{}, parts: map[[window]byte]*fragment{}}
}

// Add adds a secret. origin is its name in a finding.
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

// Len is the number of secrets.
func (f *Finder) Len() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.known)
}

// Find returns a sentence for each secret and format of which text contains a part.
func (f *Finder) Find(name string, text []byte) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	found := map[string]bool{}
	for i := 0; i+window <= len(text); i++ {
		if part := f.parts[[window]byte(text[i:])]; part != nil {
			found[fmt.Sprintf("%s contains %s, as %s, at byte %d of line %d", name, part.origin, part.form,
				i-bytes.LastIndexByte(text[:i], '\n'), 1+bytes.Count(text[:i], []byte("\n")))] = true
			i += window
		}
	}
	return slices.Sorted(maps.Keys(found))
}
