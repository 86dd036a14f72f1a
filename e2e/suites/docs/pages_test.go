// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/build"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/certmanager"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/environment"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/page"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/repo"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/testenv"
)

// pageTimeout is for a whole page; its commands have shorter timeouts.
const pageTimeout = 5 * time.Minute

// TestPages runs every page in one environment. A page uses its own namespace, or only adds objects.
func TestPages(t *testing.T) {
	root := repo.Root(t)
	shared := sync.OnceValue(func() *testenv.Environment { return start(t) })
	for _, p := range pages(t, root) {
		t.Run(p.Path, func(t *testing.T) {
			for _, block := range p.Blocks {
				if block.NotRun != "" {
					t.Logf("line %d is not run: %s", block.Line, block.NotRun)
				}
			}
			if p.Runnable() {
				follow(t, root, p, shared())
			}
		})
	}
}

// start starts cert-manager with the controllers of Ingresses and Gateways, and selfsigned-issuer
// with all optional features.
func start(t *testing.T) *testenv.Environment {
	return testenv.Start(t, environment.Options{
		Overlay: "e2e/suites/testdata/kubernetes-csrs",
		CertManager: certmanager.Options{Controllers: []string{
			"certificates-*", "certificaterequests-*", "issuers", "clusterissuers", "ingress-shim", "gateway-shim",
		}},
	})
}

// follow runs a page in a directory with the files of the repository that the commands use.
func follow(t *testing.T, root string, p *page.Page, env *testenv.Environment) {
	t.Helper()
	directory, outputs := t.TempDir(), t.TempDir()
	expect.NoError(t, os.CopyFS(filepath.Join(directory, "deploy"), os.DirFS(filepath.Join(root, "deploy"))))
	script := p.Script(outputs)
	if _, err := exec.LookPath("openssl"); err != nil && strings.Contains(script, "openssl") {
		t.Skipf("the commands of this page need openssl: %v", err)
	}
	kubectl, err := env.Kubectl(t.Context(), t.Logf)
	expect.NoError(t, err)
	plugin, err := build.Build(t.Context(), build.KubectlPlugin(), t.Logf)
	expect.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), pageTimeout)
	defer cancel()
	bash := exec.CommandContext(ctx, "bash", "-c", script)
	bash.Dir = directory
	bash.Env = append(os.Environ(),
		"KUBECONFIG="+env.ControlPlane.AdminKubeconfig(),
		"KUBECACHEDIR="+filepath.Join(directory, ".kube-cache"),
		"PATH="+strings.Join([]string{filepath.Dir(kubectl.Path), filepath.Dir(plugin), os.Getenv("PATH")}, string(filepath.ListSeparator)))
	stop := watch(t, p.Path, env)
	output, err := bash.CombinedOutput()
	stop()
	if err != nil {
		t.Fatalf("%v %s\n%s\nlog of selfsigned-issuer:\n%s", err, output, p.StoppedAt(outputs), env.Issuer.Tail(5))
	}
	if difference := p.Compare(outputs); difference != "" {
		t.Error(difference)
	}
}

// pages returns the pages of the repository, sorted by path.
func pages(t *testing.T, root string) []*page.Page {
	t.Helper()
	var pages []*page.Page
	paths := repo.Run(t, root, nil, "git", "ls-files", "--cached", "--others", "--exclude-standard", "--", "*.md")
	for _, path := range slices.Sorted(strings.FieldsSeq(paths)) {
		p, err := page.Read(root, path)
		expect.NoError(t, err)
		pages = append(pages, p)
	}
	return pages
}
