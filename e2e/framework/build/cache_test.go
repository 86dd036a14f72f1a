// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestCacheDirectory(t *testing.T) {
	temp := t.TempDir()
	blocked := filepath.Join(temp, "file") // nothing can be created below a file
	write(t, temp, "file", "")
	tests := map[string]struct {
		cache, xdg, home string
		want, wantErr    string
	}{
		"named":            {cache: temp + "/a/b", xdg: temp + "/xdg", home: temp + "/home", want: temp + "/a/b"},
		"XDG":              {xdg: temp + "/xdg", home: temp + "/home", want: temp + "/xdg/selfsigned-issuer"},
		"home":             {home: temp + "/home", want: temp + "/home/.cache/selfsigned-issuer"},
		"relative XDG":     {xdg: "xdg", home: temp + "/home", want: temp + "/home/.cache/selfsigned-issuer"},
		"home not usable":  {home: blocked, wantErr: "not a directory"},
		"no home":          {wantErr: "not defined"},
		"named not usable": {cache: blocked + "/cache", wantErr: "not a directory"},
		"named relative":   {cache: "cache", wantErr: "not an absolute path"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Setenv(cacheEnv, test.cache)
			t.Setenv("XDG_CACHE_HOME", test.xdg)
			t.Setenv("HOME", test.home)
			got, err := cacheDirectory()
			if test.wantErr != "" {
				wantError(t, err, cacheEnv, test.wantErr)
			} else if err != nil || got != test.want {
				t.Errorf("got %q, %v, want %q", got, err, test.want)
			}
		})
	}
}

func TestPruneRemovesOnlyWhatIsUnusedForLong(t *testing.T) {
	cache := t.TempDir()
	now := time.Now()
	age := func(name string, age time.Duration) string {
		dir := filepath.Join(cache, name)
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(dir, now.Add(-age), now.Add(-age)); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	kept := []string{
		age("tiny-0000000000000001", time.Hour),
		age("other-0000000000000001", 2*unusedFor),
		age("tiny-other-0000000000000001", 2*unusedFor),
	}
	removed := []string{
		age("tiny-0000000000000002", 2*unusedFor),
		age(".build-1", 2*unusedFor),
	}
	if err := prune(cache, "tiny", now); err != nil {
		t.Fatal(err)
	}
	for _, dir := range kept {
		if _, err := os.Stat(dir); err != nil {
			t.Error(err)
		}
	}
	for _, dir := range removed {
		if _, err := os.Stat(dir); !os.IsNotExist(err) {
			t.Errorf("%s is still there (%v)", dir, err)
		}
	}
}
