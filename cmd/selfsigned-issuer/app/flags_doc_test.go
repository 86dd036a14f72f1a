// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

var updateDocs = flag.Bool("update-docs", false, "write docs/flags.md instead of comparing it")

const (
	flagsPage     = "../../../docs/flags.md"
	updateCommand = "go test ./cmd/selfsigned-issuer/app -run TestFlagsPage -update-docs"
)

// TestFlagsPage keeps the page for users true: it is generated from the flags themselves.
func TestFlagsPage(t *testing.T) {
	want := renderFlagsPage()
	if *updateDocs {
		if err := os.WriteFile(flagsPage, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(flagsPage)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("docs/flags.md does not say what the flags are; in the top folder, run\n\n  %s", updateCommand)
	}
}

const flagsIntroduction = `# Flags of selfsigned-issuer

<!-- Generated from cmd/selfsigned-issuer/app/flags.go. To write it again:
     %s -->

In a cluster they are the ` + "`args`" + ` of the Deployment
[deploy/base/deployment.yaml](../deploy/base/deployment.yaml). A patch in your overlay adds
one, as [deploy/examples/other-cert-manager](../deploy/examples/other-cert-manager/kustomization.yaml)
shows. ` + "`selfsigned-issuer --help`" + ` prints the same.

Exit status: 0 after SIGINT or SIGTERM; 2 for a wrong flag or value, with one line that says
what is wanted; 1 for any other failure, with one line that says why.
[Troubleshooting](troubleshooting.md#the-process-ends) has these lines.
`

func renderFlagsPage() string {
	var page strings.Builder
	fmt.Fprintf(&page, flagsIntroduction, updateCommand)
	for _, group := range flagGroups {
		flags := pflag.NewFlagSet("", pflag.ContinueOnError)
		flags.SortFlags = false // related flags stand together
		group.add(new(options), flags)
		fmt.Fprintf(&page, "\n## %s\n\n| Flag | Type | Default | Meaning |\n| --- | --- | --- | --- |\n", group.title)
		flags.VisitAll(func(f *pflag.Flag) {
			fmt.Fprintf(&page, "| `--%s` | %s | %s | %s |\n", f.Name, f.Value.Type(), defaultOf(f), strings.ReplaceAll(f.Usage, "|", `\|`))
		})
	}
	return page.String()
}

func defaultOf(f *pflag.Flag) string {
	if f.DefValue == "" || f.DefValue == "[]" {
		return "empty"
	}
	return "`" + f.DefValue + "`"
}
