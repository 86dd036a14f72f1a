// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

func TestCacheDirectory(t *testing.T) {
	temp := t.TempDir()
	blocked := filepath.Join(temp, "file") // nothing can be created below a file
	write(t, temp, "file", "")
	tests := map[string]struct {
		cache, xdg, home string
		want             string
	}{
		"named":           {cache: temp + "/a/b", xdg: temp + "/xdg", home: temp + "/home", want: temp + "/a/b"},
		"XDG":             {xdg: temp + "/xdg", home: temp + "/home", want: temp + "/xdg/selfsigned-issuer"},
		"home":            {home: temp + "/home", want: temp + "/home/.cache/selfsigned-issuer"},
		"relative XDG":    {xdg: "xdg", home: temp + "/home", want: temp + "/home/.cache/selfsigned-issuer"},
		"home not usable": {home: blocked, want: fallbackIn(temp)},
		"no home":         {want: fallbackIn(temp)},
		"XDG not usable":  {xdg: blocked, home: temp + "/home", want: fallbackIn(temp)},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Setenv("TMPDIR", temp)
			t.Setenv(cacheEnv, test.cache)
			t.Setenv("XDG_CACHE_HOME", test.xdg)
			t.Setenv("HOME", test.home)
			announceFallback = sync.Once{}
			reported := newLines(t)
			got, err := cacheDirectory(reported.report)
			if err != nil || got != test.want {
				t.Fatalf("got %q, %v, want %q", got, err, test.want)
			}
			if want := test.want == fallbackIn(temp); want != (reported.count(test.want) == 1) {
				t.Errorf("reported %q", reported.seen)
			}
		})
	}
}

func fallbackIn(temp string) string {
	return filepath.Join(temp, fmt.Sprintf("selfsigned-issuer-cache-%d", os.Getuid()))
}

func TestNamedCacheDirectoryMustBeUsable(t *testing.T) {
	temp := t.TempDir()
	write(t, temp, "file", "")
	t.Setenv(cacheEnv, filepath.Join(temp, "file", "cache"))
	_, err := cacheDirectory(nil)
	wantError(t, err, cacheEnv, "not a directory")

	t.Setenv(cacheEnv, "cache")
	_, err = cacheDirectory(nil)
	wantError(t, err, cacheEnv, "not an absolute path")
}

func TestTemporaryCacheDirectoryOfAnotherUserIsRejected(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	dir, err := temporaryCacheDirectory()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	_, err = temporaryCacheDirectory()
	wantError(t, err, dir, "not a directory that only this user can write")
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
