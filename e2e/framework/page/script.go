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

// Script returns the page as one program for bash, so that variables and the working directory
// persist between blocks. The output of the block at line N is written to N.out in directory.
func (p *Page) Script(directory string) string {
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
		fmt.Fprintf(&script, "{\n%s} >%s 2>&1\n", code, outputFile(directory, block.Line))
	}
	return script.String()
}

func outputFile(directory string, line int) string {
	return filepath.Join(directory, fmt.Sprintf("%d.out", line))
}

// Compare returns the difference between the output of the blocks and the page, or an empty string.
// White space does not matter, and … matches any text.
func (p *Page) Compare(directory string) string {
	line := 0
	for _, block := range p.Blocks {
		switch {
		case block.Output && block.NotRun == "":
			got, err := os.ReadFile(outputFile(directory, line))
			if err != nil {
				return err.Error()
			}
			if !matches(block.Code, string(got)) {
				return fmt.Sprintf("%s:%d does not print the output on the page, but:\n%s", p.Path, line, got)
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

// StoppedAt describes the last block that was started.
func (p *Page) StoppedAt(outputs string) string {
	position := "before its first block"
	for _, block := range p.Blocks {
		if output, err := os.ReadFile(outputFile(outputs, block.Line)); err == nil {
			position = fmt.Sprintf("in the block at %s:%d, which printed:\n%s", p.Path, block.Line, output)
		}
	}
	return position
}
