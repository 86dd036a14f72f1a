// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package page

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// Script turns a page into one program for bash: a reader's variables and working directory
// last from one block to the next. What the block at line N prints goes to N.out in folder;
// the last such file tells how far it came.
func (p *Page) Script(folder string) string {
	var script strings.Builder
	script.WriteString("set -euo pipefail\n")
	for _, block := range p.Blocks {
		if block.NotRun != "" {
			continue
		}
		var code string
		switch {
		case block.Language == "sh":
			code = block.Code
		case block.Language == "yaml" && block.File != "":
			code = fmt.Sprintf("mkdir -p %q\ncat > %q <<'END_OF_FILE'\n%sEND_OF_FILE\n", filepath.Dir(block.File), block.File, block.Code)
		case block.Language == "yaml":
			code = "kubectl apply --server-side -f - <<'END_OF_FILE'\n" + block.Code + "END_OF_FILE\n"
		default:
			continue
		}
		fmt.Fprintf(&script, "{\n%s} >%s 2>&1\n", code, outputFile(folder, block.Line))
	}
	return script.String()
}

func outputFile(folder string, line int) string {
	return filepath.Join(folder, fmt.Sprintf("%d.out", line))
}

// Compare returns how the blocks' output differs from what the page says; empty if it does
// not. White space is one, and … stands for any text.
func (p *Page) Compare(folder string) string {
	line := 0
	for _, block := range p.Blocks {
		switch {
		case block.Output && block.NotRun == "":
			got, err := os.ReadFile(outputFile(folder, line))
			if err != nil {
				return err.Error()
			}
			if !matches(block.Code, string(got)) {
				return fmt.Sprintf("%s:%d does not print what follows it, but:\n%s", p.Path, line, got)
			}
		case block.Language == "sh":
			line = block.Line
		}
	}
	return ""
}

func matches(want, got string) bool {
	quoted := strings.ReplaceAll(regexp.QuoteMeta(squeeze(want)), "…", ".*")
	return regexp.MustCompile("^" + quoted + "$").MatchString(squeeze(got))
}

func squeeze(text string) string { return strings.Join(strings.Fields(text), " ") }

// StoppedAt describes the last block that was begun.
func (p *Page) StoppedAt(outputs string) string {
	said := "before its first block"
	for _, block := range p.Blocks {
		if output, err := os.ReadFile(outputFile(outputs, block.Line)); err == nil {
			said = fmt.Sprintf("in the block at %s:%d, which printed:\n%s", p.Path, block.Line, output)
		}
	}
	return said
}
