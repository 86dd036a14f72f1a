// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package expect

import "testing"

// NoError ends the test if there is an error.
func NoError(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// True marks the test as failed, with the message, unless the condition holds.
func True(t testing.TB, condition bool, format string, args ...any) {
	t.Helper()
	if !condition {
		t.Errorf(format, args...)
	}
}

// Equal marks the test as failed, with the difference, unless the values are equal.
func Equal(t testing.TB, what string, want, got any) {
	t.Helper()
	if err := NoDiff(want, got); err != nil {
		t.Errorf("%s %v", what, err)
	}
}
