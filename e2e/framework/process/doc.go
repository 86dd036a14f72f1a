// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package process runs the real programs of a test environment as child processes that
// never outlive the program that started them.
//
// It works on Unix only. On Linux the kernel kills a child as soon as its parent is gone
// (prctl(2), PR_SET_PDEATHSIG), however the parent ended. Other systems have no such
// call; there a small shell per child watches a pipe that closes with the parent.
package process
