// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"context"
	"encoding/json"
	"path/filepath"
)

// Module is the source of a Go module on this machine.
type Module struct {
	Dir     string // absolute; read-only, as all of the module cache
	Version string // such as v1.21.2
}

// Source is the source of a program that is the module with its version.
func (p Program) Source(ctx context.Context) (Module, error) {
	return FindModule(ctx, filepath.Base(p.directory), p.versionModule)
}

// FindModule returns a module at its version in e2e/versions/pinned. `go mod download`, unlike `go
// list -m`, downloads it if it is missing.
func FindModule(ctx context.Context, pinned, path string, flags ...string) (Module, error) {
	root, err := Root()
	if err != nil {
		return Module{}, err
	}
	b := &build{root: root, Program: Program{directory: filepath.Join("e2e", "versions", pinned)}}
	out, err := b.query(ctx, append(append([]string{"mod", "download", "-json"}, flags...), path)...)
	if err == nil && out == "" { // a checkout that replaces the module
		out, err = b.query(ctx, append(append([]string{"list", "-mod=readonly", "-m", "-json"}, flags...), path)...)
	}
	if err != nil {
		return Module{}, err
	}
	var found Module
	err = json.Unmarshal([]byte(out), &found)
	return found, err
}
