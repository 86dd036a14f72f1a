// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build certmanager_v1_20

package main

import (
	"time"

	"github.com/cert-manager/cert-manager/pkg/controller"
)

// setMaximumBackoff does nothing: in cert-manager v1.20 the maximum is a constant of 32 hours.
func setMaximumBackoff(*controller.CertificateOptions, time.Duration) {}
