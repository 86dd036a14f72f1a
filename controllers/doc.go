// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package controllers connects the signer to Kubernetes through issuer-lib. It finds the issuer
// and the private key of a request, decides on the request, and writes the decision once.
//
// For the life of a request, see watches.go, reconcile.go, sign.go, status.go and record.go, in
// this order. The package internal/outcome has all outcomes.
package controllers

import (
	"strings"

	selfsigned "github.com/cert-manager/selfsigned-issuer/api/v1alpha1"
)

const (
	// Name is the field owner of status writes, the reporting controller of events, and a part
	// of the controllers' names.
	Name = selfsigned.GroupName

	// LeaderElectionID is the name of the Lease.
	LeaderElectionID = "selfsigned-issuer." + selfsigned.GroupName
)

// controllerName is the name of the controller of a kind in metrics.
func controllerName(kind string) string { return strings.ToLower(kind) + "." + Name }
