// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	libcontrollers "github.com/cert-manager/issuer-lib/controllers"
	corev1 "k8s.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/cert-manager/selfsigned-issuer/controllers/internal/request"
)

// setupRequests registers the controller of one kind of request. DESIGN.md has the reason not to
// use issuer-lib's SetupWithManager.
func (o Options) setupRequests(s *scope, kind request.Kind, tracker *pendingTracker) error {
	changed := predicate.ResourceVersionChangedPredicate{}
	issuerReady := builder.WithPredicates(changed, libcontrollers.LinkedIssuerPredicate{})
	slots := newRequestSlots(o.slots)
	s.whenStopped(slots.releaseAll)
	build := ctrl.NewControllerManagedBy(s).
		Named(controllerName(kind.Name)).
		For(kind.NewObject(), builder.WithPredicates(changed, requestPredicate(kind))).
		Watches(kind.NewObject(), enqueueAfterDelay(), builder.WithPredicates(changed, statusChangedByOthers(kind, tracker))).
		WatchesRawSource(source.Func(slots.setQueue)).
		Watches(kind.NewObject(), forgetFinished(kind, tracker), builder.WithPredicates(changed)).
		WithOptions(o.controllerOptions()).
		WithLogConstructor(logAbout(s.GetLogger(), kind.Name)) // after the options, which have one too
	enqueue := enqueuer{reader: s.GetCache(), kind: kind, tracker: tracker, clock: o.Clock}
	if !o.PollSecrets {
		build = build.WatchesMetadata(&corev1.Secret{}, enqueue.enqueueForSecret(), builder.WithPredicates(changed))
	}
	for _, issuerKind := range o.issuerKinds() {
		issuer := request.IssuerRef{Kind: issuerKind}.NewObject()
		build = build.Watches(issuer, enqueue.enqueueForIssuer(issuerKind), issuerReady)
	}
	return build.Complete(&requestReconciler{
		kind:             kind,
		client:           s.GetClient(),
		keys:             keyReader{live: s.GetAPIReader(), limits: o.limits()},
		limits:           o.limits(),
		requests:         requestReader{live: s.GetAPIReader()},
		issuers:          issuerReader{live: s.GetAPIReader()},
		slots:            slots,
		recorder:         o.events,
		clock:            o.Clock,
		gracePeriod:      o.KeyMismatchGrace,
		tracker:          tracker,
		finishedRequests: newFinishedRequests(),
		metrics:          o.metrics,

		conflicts:   newConflicts(),
		unconfirmed: newUnconfirmed[unconfirmedEnd](),

		namespaced:  o.namespaced(),
		pollSecrets: o.PollSecrets,
	})
}
