// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestModuleKey(t *testing.T) {
	base := map[string]string{"go.mod": "module m", "go.sum": "s", "sub/main.go": "package main"}
	tests := map[string]struct {
		change   map[string]string
		flag     string
		wantSame bool
	}{
		"nothing":          {wantSame: true},
		"source":           {change: map[string]string{"sub/main.go": "package other"}},
		"go.mod":           {change: map[string]string{"go.mod": "module n"}},
		"go.sum":           {change: map[string]string{"go.sum": "t"}},
		"added file":       {change: map[string]string{"embedded.txt": ""}},
		"boundary moved":   {change: map[string]string{"go.mod": "module ms", "go.sum": ""}},
		"other modfile":    {change: map[string]string{"v1.2.mod": "module o", "v1.2.sum": "o"}, wantSame: true},
		"test":             {change: map[string]string{"sub/main_test.go": "package main"}, wantSame: true},
		"flag of go build": {flag: "-race"},
	}
	want := keyOf(t, base, "")
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			files := maps.Clone(base)
			maps.Copy(files, test.change)
			if same := keyOf(t, files, test.flag) == want; same != test.wantSame {
				t.Errorf("same key: %t", same)
			}
		})
	}
}

func keyOf(t *testing.T, files map[string]string, flag string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, dir, name, content)
	}
	key, err := moduleKey(dir, "", flag)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// moduleKey does not know sources of a local replacement.
func TestPinnedModulesTakeNothingFromTheWorkingTree(t *testing.T) {
	root, err := Root()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []Program{Etcd(), KubeAPIServer(), KubeControllerManager(), Kubectl(), CertManager(), TrustManager()} {
		goMod, err := os.ReadFile(filepath.Join(root, p.directory, "go.mod"))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(goMod)) {
			if strings.Contains(line, "=> .") || strings.Contains(line, "=> /") {
				t.Errorf("%s: go.mod has a local replacement: %s", p.Name, line)
			}
		}
	}
}
