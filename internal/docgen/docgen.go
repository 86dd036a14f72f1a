// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package docgen compares generated files with the code. A test in the package of the facts renders each
// file. `make generate` runs these tests with -update, which writes the files.
package docgen

import (
	"flag"
	"os"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write generated files instead of comparing them")

// File compares a generated file with the wanted content, or writes it with -update.
func File(t *testing.T, path, want string) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err == nil && string(content) == want {
		return
	}
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if err != nil {
		t.Fatalf("%v; run `make generate`", err)
	}
	line, got, want := firstDifference(string(content), want)
	t.Errorf("%s:%d: run `make generate`, since it is\n%s\nwant\n%s", path, line, got, want)
}

// firstDifference returns the first line in which two texts differ.
func firstDifference(a, b string) (line int, inA, inB string) {
	as, bs := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := 0; ; i++ {
		if i == len(as) || i == len(bs) || as[i] != bs[i] {
			return i + 1, strings.Join(as[i:min(i+1, len(as))], ""), strings.Join(bs[i:min(i+1, len(bs))], "")
		}
	}
}

// quote is a generated part of a page: <!--quote:NAME-->…<!--/quote-->.
var quote = regexp.MustCompile(`(?s)<!--quote:([^>]+?)-->.*?<!--/quote-->`)

// Section appends a section with a quote to a page that has no such section.
func Section(t *testing.T, path, name string) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if heading := "\n### " + name + "\n"; !strings.Contains(string(content), heading) {
		File(t, path, string(content)+heading+"\n<!--quote:"+name+"-->\n<!--/quote-->\n")
	}
}

// Quotes compares the quotes on a page whose names begin with the prefix. The keys of texts are the rest of
// the names. A quote at the beginning of a line is a block. Another one is inline code.
func Quotes(t *testing.T, path, prefix string, texts map[string]string) (quoted map[string]bool) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	page, quoted := string(content), map[string]bool{}
	var result strings.Builder
	end := 0
	for _, found := range quote.FindAllStringSubmatchIndex(page, -1) {
		name, ours := strings.CutPrefix(page[found[2]:found[3]], prefix)
		if !ours {
			continue
		}
		text, known := texts[name]
		if !known {
			t.Errorf("%s quotes %s%s, which does not exist", path, prefix, name)
			continue
		}
		quoted[name] = true
		result.WriteString(page[end:found[0]] + "<!--quote:" + prefix + name + "-->")
		if found[0] == 0 || page[found[0]-1] == '\n' {
			result.WriteString("\n" + text + "\n")
		} else {
			result.WriteString("`" + strings.ReplaceAll(text, "|", `\|`) + "`")
		}
		result.WriteString("<!--/quote-->")
		end = found[1]
	}
	File(t, path, result.String()+page[end:])
	return quoted
}
