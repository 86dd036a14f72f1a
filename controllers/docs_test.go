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

	"github.com/cert-manager/selfsigned-issuer/controllers/internal/outcome"
	"github.com/cert-manager/selfsigned-issuer/internal/docgen"
)

const outcomesPage = "../docs/outcomes.md"

// TestGeneratedOutcomesPage quotes every message on the page for users. Each reason has a section there.
func TestGeneratedOutcomesPage(t *testing.T) {
	for _, reason := range allReasons() {
		if reason != outcome.Adjusted { // whose notes are the signer's
			docgen.Section(t, outcomesPage, reason)
		}
	}
	quotes := outcomeQuotes()
	quoted := docgen.Quotes(t, outcomesPage, "", quotes)
	for name, text := range quotes {
		if !quoted[name] {
			t.Errorf("%s does not quote %s: %s", outcomesPage, name, text)
		}
	}
	page, err := os.ReadFile(outcomesPage)
	if err != nil {
		t.Fatal(err)
	}
	var sections []string
	for _, heading := range regexp.MustCompile(`(?m)^### (.*)$`).FindAllStringSubmatch(string(page), -1) {
		sections = append(sections, heading[1])
	}
	slices.Sort(sections)
	if want := slices.Compact(slices.Sorted(slices.Values(allReasons()))); !slices.Equal(sections, want) {
		t.Errorf("%s has sections for\n %s\nwant\n %s", outcomesPage, sections, want)
	}
}

// TestGeneratedReadiness quotes the log lines about missing permissions.
func TestGeneratedReadiness(t *testing.T) {
	missing := missingPermissionsError{"list certificaterequests.cert-manager.io"}
	quotes := map[string]string{
		"not allowed":          missing.remedy(""),
		"namespace not served": namespaceState{notServed: missing.remedy("sandbox"), leftOut: true}.describe("sandbox"),
	}
	docgen.Quotes(t, "../docs/troubleshooting.md", "readiness: ", quotes)
}

// outcomeQuotes has the messages as templates, by their reason.
func outcomeQuotes() map[string]string {
	quotes := map[string]string{
		string(outcome.ReasonWaitingForApproval): eventQuote(outcome.ApprovalHint.EventType, outcome.ApprovalHint.Message),
		"WaitingForApproval of a CSR":            eventQuote(outcome.CSRApprovalHint.EventType, outcome.CSRApprovalHint.Message),
		string(outcome.ReasonIssuerKindUnknown):  eventQuote(outcome.KindHint.EventType, outcome.KindHint.Message),
		string(outcome.ReasonSignerNameInvalid):  eventQuote(outcome.SignerNameHint.EventType, outcome.SignerNameHint.Message),
	}
	for reason, message := range outcome.Warnings {
		if reason != outcome.Adjusted {
			quotes[reason] = eventQuote("Warning", message)
		}
	}
	for reason, outcome := range outcome.Table {
		event := outcome.EventType
		if event == "" {
			event = "none"
		}
		state := outcome.State.String()
		quotes[string(reason)] = fmt.Sprintf("> %s\n\nRequest: %s. Event: %s.", outcome.Message, strings.ToUpper(state[:1])+state[1:], event)
	}
	return quotes
}

func eventQuote(eventType, message string) string {
	return fmt.Sprintf("> %s\n\nEvent: %s.", message, eventType)
}
