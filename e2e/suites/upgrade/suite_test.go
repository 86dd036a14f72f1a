// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package upgrade upgrades from the oldest schema, and removes the installation without and with
// the issuers, as docs/upgrade.md says.
package upgrade

import (
	"testing"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/environment"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/issuer"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/testenv"
)

// life is the environment of all steps.
type life struct {
	*testenv.Environment
	kubectl environment.Kubectl
}

func TestLife(t *testing.T) {
	l := start(t)
	for _, step := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"first release", l.installFirstRelease},
		{"old CRDs", l.testOldCRDs},
		{"upgrade", l.upgrade},
		{"older issuers", l.testOlderIssuers},
		{"old program", l.testOldProgram},
		{"conflicts", l.testConflicts},
		{"removal without the issuers", l.removeWithoutIssuers},
		{"return", l.reinstall},
		{"removal with the issuers", l.removeWithIssuers},
		{"a shared namespace", l.testOwnNamespace},
	} {
		if !t.Run(step.name, step.run) {
			return
		}
	}
}

func start(t *testing.T) *life {
	t.Helper()
	// The API server warns about issuers that violate a later rule.
	log.SetLogger(logr.Discard())
	env := testenv.Start(t, environment.Options{Race: true, WithoutIssuer: true, ControllerManager: true})
	kubectl, err := env.Kubectl(t.Context(), t.Logf)
	expect.NoError(t, err)
	return &life{env, kubectl}
}

// startIssuer installs the default overlay and starts its program.
func (l *life) startIssuer(t *testing.T) {
	t.Helper()
	var err error
	l.Installation, err = issuer.Install(t.Context(), l.ControlPlane, issuer.DefaultOverlay)
	expect.NoError(t, err)
	l.Run(t, l.Installation)
}

func (l *life) run(t *testing.T, args ...string) {
	t.Helper()
	if _, err := l.kubectl.Run(t.Context(), args...); err != nil {
		t.Fatal(err)
	}
}
