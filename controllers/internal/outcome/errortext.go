// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package outcome

import (
	"errors"
	"io"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// ErrorText returns why a call to the API server failed, with the same text for each
// attempt. A text with the ports of a connection would make each retry write the status.
func ErrorText(err error) string {
	if status := apierrors.APIStatus(nil); errors.As(err, &status) {
		return err.Error()
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return "the connection was closed"
	}
	for inner := err; inner != nil; inner = errors.Unwrap(inner) {
		err = inner
	}
	return err.Error()
}
