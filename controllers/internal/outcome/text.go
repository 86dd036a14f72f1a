// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package outcome

import (
	"strings"
	"unicode"

	"k8s.io/apimachinery/pkg/util/validation"
)

// Args are the values of one request for the words in braces.
type Args map[string]string

// Message renders the message of a reason.
func (a Args) Message(reason Reason) string { return a.Render(Table[reason].Message) }

// Render replaces the words in braces. The values come from objects that others write: they are
// made printable and short.
func (a Args) Render(message string) string {
	pairs := make([]string, 0, 2*len(a))
	for word, value := range a {
		pairs = append(pairs, "{"+word+"}", Printable(value))
	}
	return strings.NewReplacer(pairs...).Replace(message)
}

// MaxArg is the maximum length of a value in a message, in bytes.
const MaxArg = 400

// Printable makes any text suitable for a condition, an event and a log line: valid UTF-8, on
// one line, of bounded length, and without a trailing period, which the message adds.
func Printable(text string) string {
	return strings.TrimSuffix(strings.TrimSpace(Truncate(onOneLine(text), MaxArg)), ".")
}

// onOneLine replaces what is not printable. It is idempotent.
func onOneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, strings.ToValidUTF8(text, "?"))
}

// truncated marks where text was removed.
const truncated = "…"

// Truncate limits text to limit bytes without breaking a rune, and marks the end.
func Truncate(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit-len(truncated)], "") + truncated
}

// Clip limits a value that must be the name of an object. If it was too long to be valid, it still
// is, and messages with it stay the same.
func Clip(value string) string {
	if len(value) <= validation.DNS1123SubdomainMaxLength {
		return value
	}
	return Truncate(onOneLine(value), MaxArg+2*len(truncated))
}
