// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"context"
	"io/fs"
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
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/page"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/testenv"
)

// pageTimeout bounds a page; each wait in it has a shorter bound of its own.
const pageTimeout = 5 * time.Minute

// TestPages follows every page, in one environment for all: a page works in a namespace of
// its own, or only adds to what others have made.
func TestPages(t *testing.T) {
	root := repository(t)
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

// start starts cert-manager with what watches Ingresses and Gateways, and the plugin with
// everything turned on that is off by default.
func start(t *testing.T) *testenv.Environment {
	return testenv.Start(t, environment.Options{
		Overlay: "e2e/suites/testdata/kubernetes-csrs",
		CertManager: certmanager.Options{Controllers: []string{
			"certificates-*", "certificaterequests-*", "issuers", "clusterissuers", "ingress-shim", "gateway-shim",
		}},
	})
}

// follow runs a page in a directory that has what the commands name of the repository.
func follow(t *testing.T, root string, p *page.Page, env *testenv.Environment) {
	t.Helper()
	folder, outputs := t.TempDir(), t.TempDir()
	if err := os.CopyFS(filepath.Join(folder, "deploy"), os.DirFS(filepath.Join(root, "deploy"))); err != nil {
		t.Fatal(err)
	}
	script := p.Script(outputs)
	if _, err := exec.LookPath("openssl"); err != nil && strings.Contains(script, "openssl") {
		t.Skipf("the commands of this page look at certificates with openssl, which this machine lacks: %v", err)
	}
	kubectl, err := env.Kubectl(t.Context(), t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), pageTimeout)
	defer cancel()
	bash := exec.CommandContext(ctx, "bash", "-c", script)
	bash.Dir = folder
	bash.Env = append(os.Environ(),
		"KUBECONFIG="+env.ControlPlane.AdminKubeconfig(),
		"KUBECACHEDIR="+filepath.Join(folder, ".kube-cache"),
		"PATH="+filepath.Dir(kubectl.Path)+string(filepath.ListSeparator)+os.Getenv("PATH"))
	stop := watch(t, p.Path, env)
	output, err := bash.CombinedOutput()
	stop()
	if err != nil {
		t.Fatalf("%v %s\n%s\nplugin's log:\n%s", err, output, p.StoppedAt(outputs), env.Issuer.Tail(5))
	}
	if difference := p.Compare(outputs); difference != "" {
		t.Error(difference)
	}
}

// pages returns the pages of the repository, sorted by path.
func pages(t *testing.T, root string) []*page.Page {
	t.Helper()
	var pages []*page.Page
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() && path != root && strings.HasPrefix(name, ".") && name != ".github" {
			return fs.SkipDir
		}
		if filepath.Ext(name) != ".md" {
			return nil
		}
		relative, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		p, err := page.Read(root, filepath.ToSlash(relative))
		if err != nil {
			t.Error(err)
			return nil
		}
		pages = append(pages, p)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(pages, func(a, b *page.Page) int { return strings.Compare(a.Path, b.Path) })
	return pages
}

func repository(t *testing.T) string {
	t.Helper()
	root, err := build.Root()
	if err != nil {
		t.Fatal(err)
	}
	return root
}
