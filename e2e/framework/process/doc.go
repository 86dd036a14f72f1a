// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package process runs programs as child processes that end with this process.
//
// It supports only Unix. On Linux, the kernel kills a child when its parent ends (prctl(2),
// PR_SET_PDEATHSIG). On other systems, a shell per child waits for a pipe that is closed when the
// parent ends.
package process
