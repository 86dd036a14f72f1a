// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	assetsEnv       = "KUBEBUILDER_ASSETS"
	downloadTimeout = 10 * time.Minute
)

// fromAssets returns the path of a program in KUBEBUILDER_ASSETS.
func (b *build) fromAssets(ctx context.Context, directory string) (string, error) {
	version, err := b.kubernetesVersion(ctx)
	if err != nil {
		return "", err
	}
	path, err := filepath.Abs(filepath.Join(directory, b.Name))
	if err == nil && !executable(path) {
		err = errors.New("there is no such program")
	}
	if err == nil && b.Name == KubeAPIServer().Name {
		var found string
		if found, err = output(exec.CommandContext(ctx, path, "--version")); err == nil && minor(found) != minor(version) {
			err = fmt.Errorf("its version is %s, not %s", found, version)
		} else if err == nil {
			b.announce(path, "%s from %s (pinned: %s)", strings.TrimPrefix(found, "Kubernetes "), assetsEnv, version)
		}
	}
	if err != nil {
		return "", fmt.Errorf("%s=%s: cannot use %s: %w; unset %[1]s, or set it to the directory that `setup-envtest use -p path %[5]s` prints",
			assetsEnv, directory, path, err, minor(version))
	}
	return path, nil
}

// fromEnvtest returns the path of a program that setup-envtest provides, or an empty string.
func (b *build) fromEnvtest(ctx context.Context) (string, error) {
	if !b.envtest {
		return "", nil
	}
	version, err := b.kubernetesVersion(ctx)
	if err != nil {
		return "", err
	}
	path := installedByEnvtest.path(ctx, b, version)
	if path != "" {
		b.announce(path, "%s from setup-envtest", installedByEnvtest.version)
	}
	return path, nil
}

// announce reports where the programs of the control plane are from, once for all of them.
func (b *build) announce(path, format string, args ...any) {
	if b.Name == KubeAPIServer().Name {
		b.report.Printf("control plane: Kubernetes %s, in %s", fmt.Sprintf(format, args...), filepath.Dir(path))
	}
}

// minor returns the minor version of a version, without its prefix.
func minor(version string) string {
	return regexp.MustCompile(`\d+\.\d+`).FindString(version)
}

// envtest is what setup-envtest has installed. It is asked once per process.
type envtest struct {
	once               sync.Once
	directory, version string // empty: nothing
	flags              []string
	// limits the first request; short, because without internet access the programs are built
	timeout time.Duration
}

var installedByEnvtest = envtest{timeout: 5 * time.Second}

// path returns the path of a program, or an empty string if it must be built.
func (e *envtest) path(ctx context.Context, b *build, version string) string {
	e.once.Do(func() {
		if err := e.install(ctx, b, version); err != nil {
			e.directory = ""
			b.report.Printf("setup-envtest provides no Kubernetes %s: %v", version, err)
		}
	})
	if e.directory == "" {
		return ""
	}
	return filepath.Join(e.directory, b.Name)
}

// install finds or downloads the pinned version, or the newest one of the same minor version: not
// every patch version is published.
func (e *envtest) install(ctx context.Context, b *build, version string) error {
	tool, err := Build(ctx, SetupEnvtest(), b.report)
	if err != nil {
		return err
	}
	unlock, err := lock(ctx, filepath.Join(b.cache, "envtest"), func() {
		b.report.Printf("another process is downloading Kubernetes: waiting for it")
	})
	if err != nil {
		return err
	}
	defer unlock()
	if e.find(ctx, tool, version, "--installed-only") == nil && e.use(ctx, e.timeout, tool, "--installed-only") == nil {
		return nil
	}
	if err := e.find(ctx, tool, version); err != nil {
		return err
	}
	b.report.Printf("downloading Kubernetes %s by setup-envtest", e.version)
	return e.use(ctx, downloadTimeout, tool, "--force") // also if it is incomplete
}

func (e *envtest) find(ctx context.Context, tool, pinned string, flags ...string) error {
	list, err := e.run(ctx, e.timeout, tool, append(flags, "list", minor(pinned))...)
	if err != nil {
		return err
	}
	found := regexp.MustCompile(`v\d+\.\d+\.\d+`).FindAllString(list, -1) // the newest first
	if len(found) == 0 {
		return fmt.Errorf("it lists no version %s for this platform", minor(pinned))
	}
	e.version = found[0]
	if slices.Contains(found, pinned) {
		e.version = pinned
	}
	return nil
}

// use verifies the checksum of a download.
func (e *envtest) use(ctx context.Context, timeout time.Duration, tool string, flags ...string) error {
	var err error
	e.directory, err = e.run(ctx, timeout, tool, append(flags, "use", "--print=path", strings.TrimPrefix(e.version, "v"))...)
	for _, p := range []Program{Etcd(), KubeAPIServer(), Kubectl()} {
		if path := filepath.Join(e.directory, p.Name); err == nil && !executable(path) {
			err = fmt.Errorf("there is no program %s", path)
		}
	}
	return err
}

func (e *envtest) run(ctx context.Context, timeout time.Duration, tool string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("no result after %s", timeout))
	defer cancel()
	out, err := output(exec.CommandContext(ctx, tool, append(e.flags, args...)...))
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause
	}
	return out, err
}
