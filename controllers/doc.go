// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package controllers connects the pure signer to Kubernetes through issuer-lib: it finds
// the issuer and the private key of a request, decides what happens to the request, and
// writes that decision once.
//
// The flow of a request: watches.go defines what starts a reconcile, reconcile.go has its steps,
// sign.go decides, outcome.go has every possible decision with its message, status.go writes it,
// record.go reports it.
package controllers

import (
	"strings"

	selfsigned "github.com/cert-manager/selfsigned-issuer/api/v1alpha1"
)

const (
	// Name is the field owner of every status that is written, the reporting controller of
	// every event, and the prefix of the controllers' names.
	Name = selfsigned.GroupName

	// LeaderElectionID names the Lease through which replicas elect a leader.
	LeaderElectionID = "selfsigned-issuer." + selfsigned.GroupName
)

// controllerName is how metrics call the controller of a kind.
func controllerName(kind string) string { return strings.ToLower(kind) + "." + Name }
