// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/xml"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// The window, in characters, and the size of a character.
const (
	rows       = 28
	columns    = 84
	lineHeight = 18
	charWidth  = 8
	margin     = 12
)

const (
	// longestPause limits long waits.
	longestPause = 1200 * time.Millisecond
	// shortestPause allows reading along.
	shortestPause = 60 * time.Millisecond
	// finalPause is the pause before the recording starts again.
	finalPause = 8 * time.Second
)

// draw returns an SVG in which the text scrolls line by line.
func draw(lines []line) string {
	var svg strings.Builder
	width, height := columns*charWidth+2*margin, rows*lineHeight+2*margin
	end := (rows - len(lines)) * lineHeight
	steps, total := keyframes(lines)
	fmt.Fprintf(&svg, head, width, height, width, height, total.Seconds(), end, steps, margin, margin, columns*charWidth, rows*lineHeight)
	for i, l := range lines {
		if l.text != "" {
			fmt.Fprintf(&svg, "<text y=\"%d\"%s>%s</text>\n", (i+1)*lineHeight-5, class(l.text), escape(l.text))
		}
	}
	svg.WriteString("</g></svg></svg>\n")
	return svg.String()
}

const head = `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" role="img" aria-label="A recorded run of make demo">
<!-- Made by make demo-svg. -->
<style>
text { font: 13px ui-monospace, SFMono-Regular, Menlo, Consolas, DejaVu Sans Mono, monospace; fill: #c9d1d9; white-space: pre }
.step { fill: #79c0ff; font-weight: bold }
.command { fill: #7ee787 }
g { animation: scroll %.1fs step-end infinite }
@media (prefers-reduced-motion: reduce) { g { animation: none; transform: translateY(%dpx) } }
@keyframes scroll {
%s}
</style>
<rect width="100%%" height="100%%" rx="8" fill="#0d1117"/>
<svg x="%d" y="%d" width="%d" height="%d" xml:space="preserve"><g>
`

// keyframes returns when each line appears at the lower edge, and the total duration.
func keyframes(lines []line) (steps string, total time.Duration) {
	at := make([]time.Duration, len(lines))
	for i := 1; i < len(lines); i++ {
		pause := lines[i].at - lines[i-1].at
		at[i] = at[i-1] + min(max(pause, shortestPause), longestPause)
	}
	total = at[len(at)-1] + finalPause
	var text strings.Builder
	for i := range lines {
		fmt.Fprintf(&text, "%.2f%% { transform: translateY(%dpx) }\n", 100*at[i].Seconds()/total.Seconds(), (rows-i-1)*lineHeight)
	}
	return text.String(), total
}

var stepTitle = regexp.MustCompile(`^\d+\. `)

func class(text string) string {
	switch {
	case stepTitle.MatchString(text):
		return ` class="step"`
	case strings.HasPrefix(strings.TrimSpace(text), "$ "):
		return ` class="command"`
	default:
		return ""
	}
}

func escape(text string) string {
	var escaped strings.Builder
	// A strings.Builder returns no errors.
	_ = xml.EscapeText(&escaped, []byte(text))
	return escaped.String()
}
