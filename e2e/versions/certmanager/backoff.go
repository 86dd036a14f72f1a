// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build !certmanager_v1_20

package main

import (
	"time"

	"github.com/cert-manager/cert-manager/pkg/controller"
)

// setMaximumBackoff sets the one option used here that cert-manager v1.20 does not have.
func setMaximumBackoff(o *controller.CertificateOptions, limit time.Duration) {
	o.CertificateRequestMaximumBackoffDuration = limit
}
