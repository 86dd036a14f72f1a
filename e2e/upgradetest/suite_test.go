// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package upgradetest goes through the life of an installation: objects of the oldest
// schema, an upgrade, removal without and with the issuers. It follows docs/upgrade.md.
package upgradetest

import (
	"context"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/cert-manager/selfsigned-issuer/e2e/expect"
	"github.com/cert-manager/selfsigned-issuer/e2e/lab"
	"github.com/cert-manager/selfsigned-issuer/e2e/plugin"
)

const patience = 3 * time.Minute

// life is an environment that goes through the steps, one after the other.
type life struct {
	*lab.Lab
	kubectl lab.Kubectl
}

func TestLife(t *testing.T) {
	l := start(t)
	for _, step := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"first release", l.installFirstRelease},
		{"upgrade", l.upgrade},
		{"older issuers", l.testOlderIssuers},
		{"conflicts", l.testConflicts},
		{"removal without the issuers", l.removeWithoutIssuers},
		{"return", l.comeBack},
		{"removal with the issuers", l.removeWithIssuers},
		{"a namespace of others", l.testOwnNamespace},
	} {
		if !t.Run(step.name, step.run) {
			return
		}
	}
}

func start(t *testing.T) *life {
	t.Helper()
	// It would print the API server's warnings of issuers that break a later rule.
	log.SetLogger(logr.Discard())
	env, err := lab.Start(t.Context(), lab.Options{Report: t.Logf, Race: true, WithoutPlugin: true, ControllerManager: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			env.Cluster.MarkFailed()
		}
		if err := env.Stop(); err != nil {
			t.Error(err)
		}
	})
	kubectl, err := env.Kubectl(t.Context(), t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	return &life{env, kubectl}
}

// startPlugin starts the program of an installation, as the Deployment would.
func (l *life) startPlugin(t *testing.T) {
	t.Helper()
	var err error
	if l.Installation, err = plugin.Install(t.Context(), l.Cluster, plugin.DefaultOverlay); err != nil {
		t.Fatal(err)
	}
	if l.Plugin, err = l.Installation.Start(t.Context(), l.Binary, "selfsigned-issuer"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := l.Plugin.AwaitReady(ctx); err != nil {
		t.Fatal(err)
	}
}

func await(t *testing.T, what string, done func() string) {
	t.Helper()
	expect.Soon(t, what, patience, nil, func(context.Context) string { return done() })
}

func (l *life) create(t *testing.T, object client.Object) {
	t.Helper()
	expect.Created(t, l.Client, object)
}

func (l *life) get(t *testing.T, object client.Object) {
	t.Helper()
	expect.There(t, l.Client, object)
}

func (l *life) run(t *testing.T, args ...string) {
	t.Helper()
	if _, err := l.kubectl.Run(t.Context(), args...); err != nil {
		t.Fatal(err)
	}
}
