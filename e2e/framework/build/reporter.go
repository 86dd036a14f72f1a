// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package build

// Reporter receives one line of progress per call, formatted like fmt.Printf, without a newline. A
// nil Reporter does nothing. Calls may be concurrent.
type Reporter func(format string, args ...any)

// Printf reports a line.
func (r Reporter) Printf(format string, args ...any) {
	if r != nil {
		r(format, args...)
	}
}
