// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

// statusClient is a client with another function for patches of a status. issuer-lib's patches
// have no UID and resourceVersion, and it treats NotFound as success.
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
