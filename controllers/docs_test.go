// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

const outcomesPage = "../docs/outcomes.md"

// TestOutcomesPage keeps the page for users true: it has each situation with what stands in
// the table of outcomes, and no situation that is not there.
func TestOutcomesPage(t *testing.T) {
	content, err := os.ReadFile(outcomesPage)
	if err != nil {
		t.Fatal(err)
	}
	page := string(content)
	for situation, outcome := range outcomes {
		if entry := outcomeEntry(situation, outcome); !strings.Contains(page, entry) {
			t.Errorf("docs/outcomes.md lacks this, followed by what the user can do:\n\n%s", entry)
		}
	}
	for reason, message := range map[string]string{badConfig: badConfigMessage, adjusted: ""} {
		if !strings.Contains(page, "### "+reason+"\n") || !strings.Contains(page, message) {
			t.Errorf("docs/outcomes.md lacks the event %s: %s", reason, message)
		}
	}
	for _, heading := range regexp.MustCompile(`(?m)^### (.*)$`).FindAllStringSubmatch(page, -1) {
		reason := heading[1]
		if _, known := outcomes[situation(reason)]; !known && reason != badConfig && reason != adjusted {
			t.Errorf("docs/outcomes.md describes %s, which does not exist", reason)
		}
	}
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
