// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package outcome

import (
	"context"
	"errors"
	"io"
	"net"
	"net/url"
	"os"
	"syscall"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

func TestErrorText(t *testing.T) {
	over := func(err error) error { return &url.Error{Op: "Get", URL: "https://192.0.2.1/api", Err: err} }
	connection := func(source int, err error) error {
		return over(&net.OpError{Op: "read", Net: "tcp", Source: &net.TCPAddr{Port: source}, Err: err})
	}
	for _, test := range []struct {
		err  error
		want string
	}{
		{apierrors.NewTooManyRequestsError("slow down"), "Too many requests: slow down"},
		{connection(40001, os.NewSyscallError("read", syscall.ECONNRESET)), "connection reset by peer"},
		{connection(40002, os.NewSyscallError("read", syscall.ECONNRESET)), "connection reset by peer"},
		{over(io.EOF), "the connection was closed"},
		{over(context.DeadlineExceeded), "context deadline exceeded"},
		{errors.New("other"), "other"},
	} {
		if got := ErrorText(test.err); got != test.want {
			t.Errorf("%v: %q, want %q", test.err, got, test.want)
		}
	}
}
