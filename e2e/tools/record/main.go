// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

// Command record runs a command and writes its output as an animated SVG, in which the text scrolls line
// by line: `make demo-svg`.
package main

import (
	"bufio"
	_ "embed"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"text/template"
	"time"
)

// The window, in lines, and the height of a line.
const (
	rows       = 28
	lineHeight = 18
)

const (
	// longestPause limits long waits.
	longestPause = 1200 * time.Millisecond
	// shortestPause allows reading along.
	shortestPause = 60 * time.Millisecond
	// finalPause is the pause before the recording starts again.
	finalPause = 8 * time.Second
)

// line is a line of output. At is the time at which it appears at the lower edge of the window.
type line struct {
	At    time.Duration
	Text  string
	Class string
}

//go:embed demo.svg.tmpl
var image string

func main() {
	output := flag.String("output", "", "the SVG to write")
	prompt := flag.String("prompt", "", "the command in the first line")
	flag.Parse()
	lines, err := record(*prompt, flag.Args())
	if err == nil {
		err = draw(*output, lines)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "record:", err)
		os.Exit(1)
	}
}

// record runs a command and returns its output.
func record(prompt string, command []string) ([]line, error) {
	if len(command) == 0 {
		return nil, fmt.Errorf("the command to record is missing")
	}
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	lines := []line{{0, "$ " + prompt, "command"}}
	at, last := time.Duration(0), time.Now()
	scanner := bufio.NewScanner(stdout)
	for scanner.Scan() {
		fmt.Println(scanner.Text())
		at += min(max(time.Since(last), shortestPause), longestPause)
		last = time.Now()
		text := temporaryDirectory.ReplaceAllString(scanner.Text(), "/tmp/${1}123")
		lines = append(lines, line{at, strings.TrimRight(text, " "), class(text)})
	}
	if err := scanner.Err(); err != nil {
		return nil, err
	}
	return lines, cmd.Wait()
}

var (
	temporaryDirectory = regexp.MustCompile(`\S*/(selfsigned-issuer-)\d+`)
	stepTitle          = regexp.MustCompile(`^\d+\. `)
)

func class(text string) string {
	switch {
	case stepTitle.MatchString(text):
		return "step"
	case strings.HasPrefix(strings.TrimSpace(text), "$ "):
		return "command"
	}
	return ""
}

func draw(path string, lines []line) error {
	duration := lines[len(lines)-1].At + finalPause
	functions := template.FuncMap{
		"percent": func(l line) string { return fmt.Sprintf("%.2f", 100*l.At.Seconds()/duration.Seconds()) },
		"scroll":  func(i int) int { return (rows - i - 1) * lineHeight },
		"y":       func(i int) int { return (i+1)*lineHeight - 5 },
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	return template.Must(template.New("").Funcs(functions).Parse(image)).Execute(file, map[string]any{
		"Lines": lines, "Last": len(lines) - 1, "Seconds": duration.Seconds(),
	})
}
