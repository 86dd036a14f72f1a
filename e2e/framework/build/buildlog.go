// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

// errorLines is how many lines of output the error of a failed build has.
const errorLines = 12

// readBuildLog splits the output of `go build -v` into compiled packages and messages.
func readBuildLog(path string) (packages int, messages []string, err error) {
	log, err := os.ReadFile(path)
	if err != nil {
		return 0, nil, err
	}
	for line := range strings.Lines(string(log)) {
		line = strings.TrimSpace(line)
		switch {
		case line == "":
		case strings.ContainsAny(line, " :"):
			messages = append(messages, line)
		default: // an import path
			packages++
		}
	}
	return packages, messages, nil
}

// describeFailure adds the compiler's output to an error.
func describeFailure(err error, log string) error {
	_, messages, readErr := readBuildLog(log)
	if readErr != nil {
		return errors.Join(err, readErr)
	}
	text := strings.Join(messages[max(0, len(messages)-errorLines):], "\n")
	return fmt.Errorf("go build failed, %w; its last lines:\n%s", err, text)
}

// isVersionControlFailure recognizes a failure of git, such as in a repository of another user,
// which fails a build with -buildvcs=auto.
func isVersionControlFailure(err error) bool {
	return err != nil && strings.Contains(err.Error(), "error obtaining VCS status")
}
