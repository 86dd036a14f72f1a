// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/page"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/repo"
)

// TestLinks finds links to missing files and headings.
func TestLinks(t *testing.T) {
	root := repo.Root(t)
	byPath := map[string]*page.Page{}
	for _, p := range pages(t, root) {
		byPath[p.Path] = p
	}
	for _, p := range byPath {
		for _, link := range p.Links {
			if strings.Contains(link, "://") || strings.HasPrefix(link, "mailto:") {
				continue
			}
			file, anchor, _ := strings.Cut(link, "#")
			target := p.Path
			if file != "" {
				target = path.Join(path.Dir(p.Path), file)
			}
			if _, err := os.Stat(filepath.Join(root, target)); err != nil {
				t.Errorf("%s links to %s, which does not exist", p.Path, link)
			} else if anchor != "" && (byPath[target] == nil || !byPath[target].Anchors[anchor]) {
				t.Errorf("%s links to %s: %s has no such heading", p.Path, link, target)
			}
		}
	}
}
