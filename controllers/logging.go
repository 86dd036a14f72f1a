// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"
)

// logAbout returns how the controller of a kind begins its log lines: with the one object
// that a line is about, in three words that can be searched for. What controller-runtime says
// of its own start and stop is about none, and only seen with more verbosity.
func logAbout(logger logr.Logger, kind string) func(*ctrl.Request) logr.Logger {
	logger = logger.WithValues("kind", kind)
	return func(object *ctrl.Request) logr.Logger {
		if object == nil {
			return logger.V(1)
		}
		return logger.WithValues("namespace", object.Namespace, "name", object.Name)
	}
}
