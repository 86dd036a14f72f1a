// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

// Command record runs a command and writes its output as an animated SVG: `make demo-svg`.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"time"
)

// line is a line of output with its time.
type line struct {
	at   time.Duration
	text string
}

func main() {
	output := flag.String("output", "", "the SVG to write")
	prompt := flag.String("prompt", "", "the command in the first line")
	flag.Parse()
	lines, err := record(*prompt, flag.Args())
	if err == nil {
		err = os.WriteFile(*output, []byte(draw(lines)), 0o644) //nolint:gosec // a public file
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
	lines := []line{{0, "$ " + prompt}}
	start := time.Now()
	scanner := bufio.NewScanner(stdout)
	for scanner.Scan() {
		fmt.Println(scanner.Text())
		lines = append(lines, line{time.Since(start), removeTemporaryPaths(scanner.Text())})
	}
	if err := scanner.Err(); err != nil {
		return nil, err
	}
	return lines, cmd.Wait()
}

var temporaryDirectory = regexp.MustCompile(`\S*/(selfsigned-issuer-)\d+`)

// removeTemporaryPaths replaces the paths of temporary files.
func removeTemporaryPaths(text string) string {
	return strings.TrimRight(temporaryDirectory.ReplaceAllString(text, "/tmp/${1}123"), " ")
}
