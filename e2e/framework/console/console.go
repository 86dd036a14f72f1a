// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package console prints numbered steps, their progress and their duration as plain text.
package console

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// Console writes to a terminal or a file. Its methods may be called from any goroutine.
type Console struct {
	mu   sync.Mutex
	out  io.Writer
	step int
}

// New returns a console that writes to out.
func New(out io.Writer) *Console { return &Console{out: out} }

// Step runs one numbered step and prints its duration.
func (c *Console) Step(title string, run func() error) error {
	c.step++
	start := time.Now()
	c.write(fmt.Sprintf("\n%d. %s\n", c.step, title))
	if err := run(); err != nil {
		return fmt.Errorf("step %d, %q: %w", c.step, title, err)
	}
	c.write(fmt.Sprintf("   done in %s\n", time.Since(start).Round(100*time.Millisecond)))
	return nil
}

// Printf writes an indented line below the current step, formatted like fmt.Printf.
func (c *Console) Printf(format string, args ...any) {
	c.Block(fmt.Sprintf(format, args...))
}

// Block writes indented text, and wraps long lines.
func (c *Console) Block(text string) {
	var block strings.Builder
	for line := range strings.Lines(strings.TrimRight(text, "\n")) {
		block.WriteString(fold(indent+strings.TrimRight(line, " \n")) + "\n")
	}
	c.write(block.String())
}

const (
	indent = "   "
	// width is that of a usual terminal, also for files.
	width = 80
)

// fold wraps a line between words.
func fold(line string) string {
	var folded strings.Builder
	for len([]rune(line)) > width {
		margin := len(line) - len(strings.TrimLeft(line, " "))
		at := strings.LastIndex(string([]rune(line)[:width+1]), " ")
		if at <= margin {
			if at = strings.Index(line[margin:], " "); at < 0 {
				break
			}
			at += margin
		}
		folded.WriteString(strings.TrimRight(line[:at], " ") + "\n")
		line = indent + "    " + strings.TrimLeft(line[at:], " ")
	}
	return folded.String() + line
}

// Plain writes text without indentation.
func (c *Console) Plain(text string) { c.write(strings.TrimRight(text, "\n") + "\n") }

func (c *Console) write(text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	// There is no other way to report this error.
	_, _ = io.WriteString(c.out, text)
}
