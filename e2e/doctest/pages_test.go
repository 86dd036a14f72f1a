// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package doctest

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cert-manager/selfsigned-issuer/e2e/certmanager"
	"github.com/cert-manager/selfsigned-issuer/e2e/lab"
	"github.com/cert-manager/selfsigned-issuer/e2e/toolchain"
)

// pageTimeout bounds a page; each wait in it has a shorter bound of its own.
const pageTimeout = 5 * time.Minute

// TestPages follows every page, in one environment for all: a page works in a namespace of
// its own, or only adds to what others have made.
func TestPages(t *testing.T) {
	root := repository(t)
	environment := sync.OnceValue(func() *lab.Lab { return start(t) })
	for _, page := range pages(t, root) {
		t.Run(page.Path, func(t *testing.T) {
			for _, block := range page.Blocks {
				if block.NotRun != "" {
					t.Logf("line %d is not run: %s", block.Line, block.NotRun)
				}
			}
			if page.Runnable() {
				follow(t, root, page, environment())
			}
		})
	}
}

// start starts cert-manager with what watches Ingresses and Gateways, and the plugin with
// everything turned on that is off by default.
func start(t *testing.T) *lab.Lab {
	environment, err := lab.Start(t.Context(), lab.Options{
		Report:  t.Logf,
		Overlay: "e2e/testdata/kubernetes-csrs",
		CertManager: certmanager.Options{Controllers: []string{
			"certificates-*", "certificaterequests-*", "issuers", "clusterissuers", "ingress-shim", "gateway-shim",
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			environment.Cluster.MarkFailed()
		}
		if err := environment.Stop(); err != nil {
			t.Error(err)
		}
	})
	return environment
}

// follow runs a page in a directory that has what the commands name of the repository.
func follow(t *testing.T, root string, page *Page, environment *lab.Lab) {
	t.Helper()
	folder, outputs := t.TempDir(), t.TempDir()
	if err := os.CopyFS(filepath.Join(folder, "deploy"), os.DirFS(filepath.Join(root, "deploy"))); err != nil {
		t.Fatal(err)
	}
	script := page.Script(outputs)
	if _, err := exec.LookPath("openssl"); err != nil && strings.Contains(script, "openssl") {
		t.Skipf("the commands of this page look at certificates with openssl, which this machine lacks: %v", err)
	}
	kubectl, err := environment.Kubectl(t.Context(), t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), pageTimeout)
	defer cancel()
	bash := exec.CommandContext(ctx, "bash", "-c", script)
	bash.Dir = folder
	bash.Env = append(os.Environ(),
		"KUBECONFIG="+environment.Cluster.AdminKubeconfig(),
		"KUBECACHEDIR="+filepath.Join(folder, ".kube-cache"),
		"PATH="+filepath.Dir(kubectl.Path)+string(filepath.ListSeparator)+os.Getenv("PATH"))
	stop := watch(t, page.Path, environment)
	output, err := bash.CombinedOutput()
	stop()
	if err != nil {
		t.Fatalf("%v %s\n%s\nplugin's log:\n%s", err, output, page.stoppedAt(outputs), environment.Plugin.Tail(5))
	}
	if difference := page.Compare(outputs); difference != "" {
		t.Error(difference)
	}
}

// stoppedAt describes the last block that was begun.
func (p *Page) stoppedAt(outputs string) string {
	said := "before its first block"
	for _, block := range p.Blocks {
		if output, err := os.ReadFile(outputFile(outputs, block.Line)); err == nil {
			said = fmt.Sprintf("in the block at %s:%d, which printed:\n%s", p.Path, block.Line, output)
		}
	}
	return said
}

// pages returns the pages of the repository, sorted by path.
func pages(t *testing.T, root string) []*Page {
	t.Helper()
	var pages []*Page
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
		page, err := Read(root, filepath.ToSlash(relative))
		if err != nil {
			t.Error(err)
			return nil
		}
		pages = append(pages, page)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(pages, func(a, b *Page) int { return strings.Compare(a.Path, b.Path) })
	return pages
}

func repository(t *testing.T) string {
	t.Helper()
	root, err := toolchain.Root()
	if err != nil {
		t.Fatal(err)
	}
	return root
}
