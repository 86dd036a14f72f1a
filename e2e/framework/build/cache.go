// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

const (
	cacheEnv  = "SELFSIGNED_ISSUER_CACHE"
	cacheName = "selfsigned-issuer"

	// buildPattern names the directories that builds take place in.
	buildPattern = ".build-*"

	// unusedFor is how long a program that nobody asked for stays in the cache.
	unusedFor = 14 * 24 * time.Hour
)

// announceFallback keeps each further program from repeating where the cache is.
var announceFallback sync.Once

// cacheFolder returns the directory that built programs are kept in, and creates it.
func cacheFolder(report Reporter) (string, error) {
	if dir := os.Getenv(cacheEnv); dir != "" {
		if !filepath.IsAbs(dir) { // it would be another folder for each package's tests
			return "", fmt.Errorf("%s=%s is not an absolute path", cacheEnv, dir)
		}
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return "", fmt.Errorf("cannot create the folder that %s names: %w", cacheEnv, err)
		}
		return dir, nil
	}
	dir, err := userCacheFolder()
	if err == nil {
		return dir, nil
	}
	fallback, fallbackErr := temporaryCacheFolder()
	if fallbackErr != nil {
		return "", fmt.Errorf("no folder to keep built programs in: %w; and %w", err, fallbackErr)
	}
	announceFallback.Do(func() {
		report.Say("built programs are kept in %s (%v); %s names another place", fallback, err, cacheEnv)
	})
	return fallback, nil
}

func userCacheFolder() (string, error) {
	base := os.Getenv("XDG_CACHE_HOME")
	if !filepath.IsAbs(base) { // unset, or invalid by the XDG Base Directory Specification
		home, err := os.UserHomeDir()
		if err != nil {
			return "", err
		}
		base = filepath.Join(home, ".cache")
	}
	dir := filepath.Join(base, cacheName)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	return dir, writable(dir)
}

// writable finds out by writing: a directory that exists may be on a read-only file system.
func writable(dir string) error {
	probe, err := os.CreateTemp(dir, ".writable-")
	if err != nil {
		return err
	}
	return errors.Join(probe.Close(), os.Remove(probe.Name()))
}

// temporaryCacheFolder has a fixed name, for the next run to find it. As anybody may
// create that name first, and programs in it get run, it must be ours alone.
func temporaryCacheFolder() (string, error) {
	dir := filepath.Join(os.TempDir(), fmt.Sprintf("%s-cache-%d", cacheName, os.Getuid()))
	if err := os.Mkdir(dir, 0o700); err != nil && !os.IsExist(err) {
		return "", err
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return "", err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.IsDir() || int(stat.Uid) != os.Getuid() || info.Mode().Perm() != 0o700 {
		return "", fmt.Errorf("%s is not a folder of this user alone", dir)
	}
	return dir, nil
}

// entry returns the directory of one build of a program.
func entry(cache, name, key string) string { return filepath.Join(cache, name+"-"+key) }

// markUsed keeps a build from being pruned. That it fails matters to nobody now.
func markUsed(entry string) {
	now := time.Now()
	_ = os.Chtimes(entry, now, now)
}

// prune removes the builds of a program that were not used for long: each change of the
// sources leaves one behind.
func prune(cache, name string, now time.Time) error {
	builds, err := filepath.Glob(entry(cache, name, "????????????????"))
	if err != nil {
		return err
	}
	interrupted, err := filepath.Glob(filepath.Join(cache, buildPattern))
	if err != nil {
		return err
	}
	for _, build := range append(builds, interrupted...) {
		info, err := os.Stat(build)
		if err != nil || now.Sub(info.ModTime()) < unusedFor {
			continue
		}
		if err := os.RemoveAll(build); err != nil {
			return err
		}
	}
	return nil
}
