// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const outcomesPage = "../docs/outcomes.md"

// TestOutcomesPage keeps the page for users true: it has each situation with what stands in
// the table of outcomes.
func TestOutcomesPage(t *testing.T) {
	page := readOutcomesPage(t)
	for situation, outcome := range outcomes {
		if entry := outcomeEntry(situation, outcome); !strings.Contains(page, entry) {
			t.Errorf("docs/outcomes.md lacks this, followed by what the user can do:\n\n%s", entry)
		}
	}
	for _, hint := range []hint{approvalHint, csrApprovalHint, kindHint, signerNameHint} {
		if entry := fmt.Sprintf("### %s\n", hint.reason); !strings.Contains(page, entry) || !strings.Contains(page, "\n> "+hint.message+"\n") {
			t.Errorf("docs/outcomes.md lacks this:\n\n%s\n> %s\n", entry, hint.message)
		}
	}
	if entry := fmt.Sprintf("### %s\n\n> %s\n", badConfig, badConfigMessage); !strings.Contains(page, entry) {
		t.Errorf("docs/outcomes.md lacks this:\n\n%s", entry)
	}
}

// TestOutcomesPageIsNotStale finds what was described and has gone or changed its name.
func TestOutcomesPageIsNotStale(t *testing.T) {
	want := []string{badConfig, adjusted, string(waitingForApproval), string(issuerKindUnknown), string(signerNameInvalid)}
	for situation := range outcomes {
		want = append(want, string(situation))
	}
	var got []string
	for _, heading := range regexp.MustCompile(`(?m)^### (.*)$`).FindAllStringSubmatch(readOutcomesPage(t), -1) {
		got = append(got, heading[1])
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("docs/outcomes.md has sections for\n %s\nwant\n %s", got, want)
	}
}

func readOutcomesPage(t *testing.T) string {
	t.Helper()
	content, err := os.ReadFile(outcomesPage)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// outcomeEntry is how the section of a situation begins.
func outcomeEntry(s situation, o outcome) string {
	states := map[state]string{pending: "Pending", failed: "Failed", denied: "Denied", issued: "Issued"}
	event := o.event
	if event == "" {
		event = "none"
	}
	return fmt.Sprintf("### %s\n\n> %s\n\nRequest: %s. Event: %s.\n", s, o.message, states[o.state], event)
}
