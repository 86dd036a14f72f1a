// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package doctest

import (
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

// TestLinks finds links to files and headings that are not there.
func TestLinks(t *testing.T) {
	root := repository(t)
	byPath := map[string]*Page{}
	for _, page := range pages(t, root) {
		byPath[page.Path] = page
	}
	for _, page := range byPath {
		for _, link := range page.Links {
			if strings.Contains(link, "://") || strings.HasPrefix(link, "mailto:") {
				continue
			}
			file, anchor, _ := strings.Cut(link, "#")
			target := page.Path
			if file != "" {
				target = path.Join(path.Dir(page.Path), file)
			}
			if _, err := os.Stat(filepath.Join(root, target)); err != nil {
				t.Errorf("%s links to %s, which does not exist", page.Path, link)
			} else if anchor != "" && (byPath[target] == nil || !byPath[target].Anchors[anchor]) {
				t.Errorf("%s links to %s: %s has no such heading", page.Path, link, target)
			}
		}
	}
}
