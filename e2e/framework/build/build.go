// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// Build returns the path of a program, and builds it first if needed. The file is not changed by
// later builds. If several processes need the same program, one builds it and the others wait.
func Build(ctx context.Context, p Program, report Reporter) (string, error) {
	assets := os.Getenv(assetsEnv)
	if p.fromPath && assets == "" {
		if path, err := exec.LookPath(p.Name); err == nil {
			return filepath.Abs(path)
		}
	}
	b, err := newBuild(p, report)
	if err != nil {
		return "", err
	}
	if p.envtest && assets != "" {
		return b.fromAssets(ctx, assets)
	}
	return b.build(ctx)
}

// At builds a program of the working tree from a copy of the repository, such as an earlier commit.
func At(ctx context.Context, root string, p Program, report Reporter) (string, error) {
	b, err := newBuild(p, report)
	if err != nil {
		return "", err
	}
	b.root = root
	return b.build(ctx)
}

func (b *build) build(ctx context.Context) (path string, err error) {
	if b.workingTree {
		path, err = b.fromWorkingTree(ctx)
	} else {
		path, err = b.fromPinnedModule(ctx)
	}
	if err != nil {
		return "", fmt.Errorf("cannot build %s: %w", b.Name, err)
	}
	return path, nil
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0
}

// build is one call of Build.
type build struct {
	Program
	root   string // of the repository
	cache  string
	report Reporter
	// how often progress is reported
	heartbeat time.Duration
}

func newBuild(p Program, report Reporter) (*build, error) {
	if _, err := exec.LookPath("go"); err != nil {
		return nil, fmt.Errorf("%s is built from source, which needs Go (https://go.dev/dl): %w", p.Name, err)
	}
	root, err := Root()
	if err != nil {
		return nil, err
	}
	cache, err := cacheDirectory()
	if err != nil {
		return nil, err
	}
	return &build{Program: p, root: root, cache: cache, report: report, heartbeat: heartbeat}, nil
}

// fromPinnedModule builds a program whose sources are pinned by hashes. An earlier build is found
// without `go build`, which would link again.
func (b *build) fromPinnedModule(ctx context.Context) (path string, err error) {
	target, version, err := b.target(ctx)
	if err != nil {
		return "", err
	}
	defer func() {
		if err == nil && path == target {
			b.announce(path, "%s built from Go modules", version)
		}
	}()
	if executable(target) {
		markUsed(filepath.Dir(target))
		return target, nil
	}
	if path, err := b.fromEnvtest(ctx); path != "" || err != nil {
		return path, err
	}
	unlock, err := b.lock(ctx, filepath.Dir(target))
	if err != nil {
		return "", err
	}
	defer unlock()
	if executable(target) { // another process has built it
		return target, nil
	}
	b.report.Printf("building %s %s from source (only once): about %s on 2 cores", b.Name, version, b.coldBuild)
	if err := b.compile(ctx, target, b.flags(version)); err != nil {
		return "", err
	}
	return target, prune(b.cache, b.Name, time.Now())
}

// target returns where a program of a pinned module is stored, and its version.
func (b *build) target(ctx context.Context) (target, version string, err error) {
	if version, err = b.version(ctx); err != nil {
		return "", "", err
	}
	goEnv, err := b.goEnv(ctx)
	if err != nil {
		return "", "", err
	}
	key, err := moduleKey(b.moduleDirectory(), b.modfile, append(b.flags(version), goEnv)...)
	return filepath.Join(entry(b.cache, b.Name, key), b.Name), version, err
}

// Download downloads the modules of programs that must be built, while others are compiled. Build
// reports its errors.
func Download(ctx context.Context, report Reporter, programs ...Program) {
	for _, p := range programs {
		if b, err := newBuild(p, report); err == nil && b.isMissing(ctx) {
			args := append([]string{"list", "-mod=readonly", "-deps"}, b.ModfileFlags()...)
			_, _ = b.query(ctx, append(args, b.pkg)...)
		}
	}
}

// isMissing returns true if a program of a pinned module must be built.
func (b *build) isMissing(ctx context.Context) bool {
	if b.envtest && os.Getenv(assetsEnv) != "" {
		return false
	}
	target, version, err := b.target(ctx)
	return err == nil && !executable(target) && (!b.envtest || installedByEnvtest.path(ctx, b, version) == "")
}

// fromWorkingTree runs `go build`, which detects changes, and stores the result under its own hash:
// a test that restarts its program gets the same file, even if the sources have been edited and
// built again.
func (b *build) fromWorkingTree(ctx context.Context) (string, error) {
	flags := b.flags("")
	treeKey := shortHash(fmt.Sprintf("%q", append(flags, b.root)))
	latest := filepath.Join(entry(b.cache, b.Name, treeKey), b.Name)
	unlock, err := b.lock(ctx, filepath.Dir(latest))
	if err != nil {
		return "", err
	}
	defer unlock()
	b.report.Printf("building %s from this working tree: minutes the first time, then seconds", b.Name)
	if err := b.compile(ctx, latest, flags); err != nil {
		return "", err
	}
	key, err := fileKey(latest)
	if err != nil {
		return "", err
	}
	target := filepath.Join(entry(b.cache, b.Name, key), b.Name)
	if err := os.MkdirAll(filepath.Dir(target), 0o700); err != nil {
		return "", err
	}
	// A link, not a copy: `go build` replaces its output and never writes into it.
	if err := os.Link(latest, target); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	markUsed(filepath.Dir(latest))
	markUsed(filepath.Dir(target))
	return target, prune(b.cache, b.Name, time.Now())
}

func (b *build) lock(ctx context.Context, entry string) (unlock func(), err error) {
	return lock(ctx, entry, func() {
		b.report.Printf("another process is building %s: waiting for it", b.Name)
	})
}

func (b *build) moduleDirectory() string { return filepath.Join(b.root, b.directory) }

func shortHash(s string) string {
	sum := sha256.New()
	sum.Write([]byte(s))
	return shorten(sum)
}
