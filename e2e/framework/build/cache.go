// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"fmt"
	"os"
	"path/filepath"
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

// cacheDirectory creates and returns the directory of built programs.
func cacheDirectory() (string, error) {
	dir := os.Getenv(cacheEnv)
	if dir == "" {
		var err error
		if dir, err = userCacheDirectory(); err != nil {
			return "", fmt.Errorf("no directory for built programs: %w; set %s", err, cacheEnv)
		}
	} else if !filepath.IsAbs(dir) { // it would be another directory for each package
		return "", fmt.Errorf("%s=%s is not an absolute path", cacheEnv, dir)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("cannot create the directory of built programs: %w; set %s to another one", err, cacheEnv)
	}
	return dir, nil
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
	return filepath.Join(base, cacheName), nil
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
