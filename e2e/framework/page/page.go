// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package page

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
)

// Page is a Markdown file.
type Page struct {
	Path   string // below the repository's root
	Blocks []Block
	Links  []string
	// Anchors are the targets of links to headings.
	Anchors map[string]bool
}

// Block is a code block.
type Block struct {
	Line     int // of its first line of code
	Language string
	// NotRun is the reason why it is not run.
	NotRun string
	// File is the path under which it is saved.
	File string
	// Output means that it is the output of the previous block.
	Output bool
	Code   string
}

// Read parses a page.
func Read(root, path string) (*Page, error) {
	source, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		return nil, err
	}
	markdown := goldmark.New(goldmark.WithExtensions(extension.GFM), goldmark.WithParserOptions(parser.WithAutoHeadingID()))
	tree := markdown.Parser().Parse(text.NewReader(source))
	page := &Page{Path: path, Anchors: map[string]bool{}}
	err = ast.Walk(tree, func(node ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		return ast.WalkContinue, page.add(node, source)
	})
	if err != nil {
		return nil, fmt.Errorf("%s:%w", path, err)
	}
	return page, nil
}

func (p *Page) add(node ast.Node, source []byte) error {
	switch node := node.(type) {
	case *ast.Heading:
		if id, ok := node.AttributeString("id"); ok {
			p.Anchors[string(id.([]byte))] = true
		}
	case *ast.Link:
		p.Links = append(p.Links, string(node.Destination))
	case *ast.Image:
		p.Links = append(p.Links, string(node.Destination))
	case *ast.CodeBlock:
		return fmt.Errorf("%d: an indented block has no type: use a fenced block", lineOf(node, source))
	case *ast.FencedCodeBlock:
		info := ""
		if node.Info != nil {
			info = string(node.Info.Value(source))
		}
		block, err := parseInfo(info)
		block.Line, block.Code = lineOf(node, source), string(node.Lines().Value(source))
		if err != nil {
			return fmt.Errorf("%d: %w", block.Line, err)
		}
		p.Blocks = append(p.Blocks, block)
	}
	return nil
}

func lineOf(node ast.Node, source []byte) int {
	if node.Lines().Len() == 0 {
		return 0
	}
	return 1 + bytes.Count(source[:node.Lines().At(0).Start], []byte("\n"))
}

var infoPattern = regexp.MustCompile(`^(sh|yaml|text|json|mermaid)( output)?(?: (file|not-run)="([^"]+)")?$`)

func parseInfo(info string) (Block, error) {
	found := infoPattern.FindStringSubmatch(strings.TrimSpace(info))
	if found == nil {
		return Block{}, fmt.Errorf("a block opened by %q has no type that package page supports", info)
	}
	block := Block{Language: found[1], Output: found[2] != ""}
	switch found[3] {
	case "file":
		block.File = found[4]
	case "not-run":
		block.NotRun = found[4]
	}
	if (block.Language == "text" || block.Language == "json") && !block.Output && block.NotRun == "" {
		return Block{}, fmt.Errorf("%q: it needs \"output\" or a not-run reason", info)
	}
	return block, nil
}

// Runnable reports whether the page has blocks to run.
func (p *Page) Runnable() bool {
	for _, block := range p.Blocks {
		if block.NotRun == "" && (block.Language == "sh" || block.Language == "yaml") {
			return true
		}
	}
	return false
}
