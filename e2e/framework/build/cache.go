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

	// buildPattern matches the directories of running builds.
	buildPattern = ".build-*"

	// unusedFor is how long an unused program stays in the cache.
	unusedFor = 14 * 24 * time.Hour
)

// announceFallback reports the fallback only once.
var announceFallback sync.Once

// cacheDirectory creates and returns the directory of built programs.
func cacheDirectory(report Reporter) (string, error) {
	if dir := os.Getenv(cacheEnv); dir != "" {
		if !filepath.IsAbs(dir) { // it would be another directory for each package
			return "", fmt.Errorf("%s=%s is not an absolute path", cacheEnv, dir)
		}
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return "", fmt.Errorf("cannot create the directory in %s: %w", cacheEnv, err)
		}
		return dir, nil
	}
	dir, err := userCacheDirectory()
	if err == nil {
		return dir, nil
	}
	fallback, fallbackErr := temporaryCacheDirectory()
	if fallbackErr != nil {
		return "", fmt.Errorf("no directory for built programs: %w; and %w", err, fallbackErr)
	}
	announceFallback.Do(func() {
		report.Printf("built programs are stored in %s (%v); set %s to another directory", fallback, err, cacheEnv)
	})
	return fallback, nil
}

func userCacheDirectory() (string, error) {
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

// writable writes a file, because the directory may be on a read-only file system.
func writable(dir string) error {
	probe, err := os.CreateTemp(dir, ".writable-")
	if err != nil {
		return err
	}
	return errors.Join(probe.Close(), os.Remove(probe.Name()))
}

// temporaryCacheDirectory has a fixed name, so that the next run finds it. Because its programs are
// run, no other user may have created it.
func temporaryCacheDirectory() (string, error) {
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
		return "", fmt.Errorf("%s is not a directory that only this user can write", dir)
	}
	return dir, nil
}

// entry returns the directory of one build of a program.
func entry(cache, name, key string) string { return filepath.Join(cache, name+"-"+key) }

// markUsed protects a build from prune.
func markUsed(entry string) {
	now := time.Now()
	_ = os.Chtimes(entry, now, now)
}

// prune removes old builds of a program: each change of the sources adds one.
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
