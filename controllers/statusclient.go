// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

// statusClient is a client whose patches of a status go through a function. issuer-lib takes
// NotFound for success, and does not guard what it writes to issuers.
type statusClient struct {
	client.Client
	patch patchStatus
}

type patchStatus func(ctx context.Context, object client.Object, patch client.Patch, options ...client.SubResourcePatchOption) error

// Status implements client.StatusClient.
func (c statusClient) Status() client.SubResourceWriter {
	return statusWriter{c.Client.Status(), c.patch}
}

type statusWriter struct {
	client.SubResourceWriter
	patch patchStatus
}

// Patch implements client.SubResourceWriter.
func (w statusWriter) Patch(ctx context.Context, object client.Object, patch client.Patch, options ...client.SubResourcePatchOption) error {
	return w.patch(ctx, object, patch, options...)
}
