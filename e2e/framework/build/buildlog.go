// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

// errorLines is how much of its output a failed build is reported with.
const errorLines = 12

// readBuildLog splits the output of `go build -v` into what it has compiled and what it
// has to say.
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

// describeFailure says in a sentence what is wrong, followed by the compiler's own words.
func describeFailure(err error, log string) error {
	_, messages, readErr := readBuildLog(log)
	if readErr != nil {
		return errors.Join(err, readErr)
	}
	text := strings.Join(messages[max(0, len(messages)-errorLines):], "\n")
	hint := ""
	if networkFailed(text) {
		hint = "; the modules it needs could not be downloaded (go env GOPROXY tells from where)"
	}
	return fmt.Errorf("go build failed, %w%s; its last lines:\n%s", err, hint, text)
}

// networkFailed recognises the errors of the Go command's downloads, which it words itself
// or takes from package net.
func networkFailed(text string) bool {
	for _, sign := range []string{
		"dial tcp", "proxyconnect", "no such host", "connection refused", "i/o timeout",
		"TLS handshake", "module lookup disabled",
	} {
		if strings.Contains(text, sign) {
			return true
		}
	}
	return false
}

// isVersionControlFailure recognises that git refuses to work, as it does in a repository
// that belongs to another user, which -buildvcs=auto does not forgive.
func isVersionControlFailure(err error) bool {
	return err != nil && strings.Contains(err.Error(), "error obtaining VCS status")
}
