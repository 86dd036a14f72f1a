// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// push pushes an index of two images to an in-memory registry.
func push(t *testing.T) name.Digest {
	t.Helper()
	server := httptest.NewServer(registry.New(registry.WithReferrersSupport(true), registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	index, err := random.Index(100, 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	hash, err := index.Digest()
	if err != nil {
		t.Fatal(err)
	}
	digest, err := name.NewDigest(strings.TrimPrefix(server.URL, "http://") + "/test/image@" + hash.String())
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.WriteIndex(digest, index); err != nil {
		t.Fatal(err)
	}
	return digest
}

func TestRehearse(t *testing.T) {
	sbom := filepath.Join(t.TempDir(), "sbom.json")
	if err := os.WriteFile(sbom, []byte(`{"bomFormat": "CycloneDX"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := rehearse(t.Context(), sbom, []string{push(t).String()}); err != nil {
		t.Error(err)
	}
}

func TestRefused(t *testing.T) {
	digest := push(t)
	ours, err := newKey()
	if err != nil {
		t.Fatal(err)
	}
	others, err := newKey()
	if err != nil {
		t.Fatal(err)
	}
	expectRefused(t, ours, digest, "none of 0 statements is valid")
	bundle, err := others.sign(t.Context(), digest, signature, map[string]any{})
	if err != nil {
		t.Fatal(err)
	}
	if err := attach(t.Context(), digest, bundle); err != nil {
		t.Fatal(err)
	}
	expectRefused(t, ours, digest, "none of 1 statements is valid")
	if bundle, err = ours.sign(t.Context(), digest, billOfMaterials, map[string]any{}); err != nil {
		t.Fatal(err)
	}
	if err := attach(t.Context(), digest, bundle); err != nil {
		t.Fatal(err)
	}
	expectRefused(t, ours, digest, "none of 2 statements is valid")
}

func expectRefused(t *testing.T, k *key, digest name.Digest, want string) {
	t.Helper()
	if err := k.verify(t.Context(), digest, signature); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want %s", err, want)
	}
}
