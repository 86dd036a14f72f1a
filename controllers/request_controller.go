// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	corev1 "k8s.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	libcontrollers "github.com/cert-manager/issuer-lib/controllers"
)

// setupRequests registers the controller of one kind of request, with what wakes it. It is
// built here and not by issuer-lib's SetupWithManager, because that one watches no Secrets,
// wakes finished requests on every change of their issuer, and can not tell a conflict or a
// wait from an error.
func (o Options) setupRequests(mgr ctrl.Manager, kind requestKind, waits *waits) error {
	changed := predicate.ResourceVersionChangedPredicate{}
	issuerReady := builder.WithPredicates(changed, libcontrollers.LinkedIssuerPredicate{})
	build := ctrl.NewControllerManagedBy(mgr).
		Named(controllerName(kind.name)).
		For(kind.newObject(), builder.WithPredicates(changed, wakingEvents(kind))).
		Watches(kind.newObject(), enqueueLater(), builder.WithPredicates(changed, foreignWrites(kind, waits))).
		Watches(kind.newObject(), forgetFinished(kind, waits), builder.WithPredicates(changed)).
		WithOptions(o.controllerOptions()).
		WithLogConstructor(logAbout(mgr.GetLogger(), kind.name)) // after the options, which have one too
	enqueue := enqueuer{reader: mgr.GetCache(), kind: kind, waits: waits, clock: o.Clock}
	if !o.PollSecrets {
		build = build.WatchesMetadata(&corev1.Secret{}, enqueue.forSecret(), builder.WithPredicates(changed))
	}
	for _, issuerKind := range o.issuerKinds() {
		issuer := issuerRef{kind: issuerKind}.newObject()
		build = build.Watches(issuer, enqueue.forIssuer(issuerKind), issuerReady)
	}
	return build.Complete(&requestReconciler{
		kind:     kind,
		client:   mgr.GetClient(),
		keys:     keyReader{live: mgr.GetAPIReader(), limits: o.limits()},
		limits:   o.limits(),
		requests: requestReader{live: mgr.GetAPIReader()},
		issuers:  issuerReader{live: mgr.GetAPIReader()},
		slots:    o.slots,
		recorder: o.events,
		clock:    o.Clock,
		grace:    o.KeyMismatchGrace,
		waits:    waits,
		written:  newWritten(),
		metrics:  processMetrics,

		conflicts:   newConflicts(),
		unconfirmed: newUnconfirmed[unconfirmedEnd](),

		namespaced:  o.namespaced(),
		pollSecrets: o.PollSecrets,
	})
}
