// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"
)

// logAbout returns the log constructor of the controller of a kind. Lines have the kind, namespace
// and name of their object. Lines of controller-runtime without an object need more verbosity.
func logAbout(logger logr.Logger, kind string) func(*ctrl.Request) logr.Logger {
	logger = logger.WithValues("kind", kind)
	return func(object *ctrl.Request) logr.Logger {
		if object == nil {
			return logger.V(1)
		}
		return logger.WithValues("namespace", object.Namespace, "name", object.Name)
	}
}
