// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package build

// Reporter receives progress for a person to read: one line a call, without a newline, in
// the manner of fmt.Printf. A nil Reporter is silent. It may be called from several
// goroutines at once.
type Reporter func(format string, args ...any)

// Say reports a line.
func (r Reporter) Say(format string, args ...any) {
	if r != nil {
		r(format, args...)
	}
}
