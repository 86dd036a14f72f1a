// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"

	libapi "github.com/cert-manager/issuer-lib/api/v1alpha1"
	libcontrollers "github.com/cert-manager/issuer-lib/controllers"
	libsigner "github.com/cert-manager/issuer-lib/controllers/signer"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

// check is issuer-lib's Check hook. An issuer depends on nothing but its spec, which the
// schema has validated; it is validated again for objects that are older than the schema.
// Only a change of the spec can mend it, so that the error is permanent.
func check(ctx context.Context, issuer libapi.Issuer) error {
	if err := specOf(issuer).Validate().ToAggregate(); err != nil {
		return libsigner.PermanentError{Err: err}
	}
	if !isReady(issuer) {
		log.FromContext(ctx).Info("The issuer is Ready", "uid", issuer.GetUID(), "generation", issuer.GetGeneration())
	}
	return nil
}

// setupIssuers registers a controller that keeps the Ready condition of an issuer kind.
func (o Options) setupIssuers(ctx context.Context, mgr ctrl.Manager, issuer libapi.Issuer) error {
	return (&libcontrollers.IssuerReconciler{
		ForObject:         issuer,
		FieldOwner:        Name,
		EventSource:       noEvents{},
		Client:            mgr.GetClient(),
		Check:             check,
		EventRecorder:     o.events,
		Clock:             o.Clock,
		ControllerOptions: o.controllerOptions(),
		PreSetupWithManager: func(_ context.Context, gvk schema.GroupVersionKind, _ ctrl.Manager, build *builder.Builder) error {
			build.Named(controllerName(gvk.Kind)).WithLogConstructor(logAbout(mgr.GetLogger(), gvk.Kind))
			return nil
		},
	}).SetupWithManager(ctx, mgr)
}

// noEvents stands for the channel through which issuer-lib's request controllers report
// errors of an issuer: signing asks nobody, so that there are none.
type noEvents struct{}

func (noEvents) AddConsumer(schema.GroupVersionKind) source.Source {
	return source.Func(func(context.Context, workqueue.TypedRateLimitingInterface[ctrl.Request]) error { return nil })
}

func (noEvents) ReportError(schema.GroupVersionKind, types.NamespacedName, error) error { return nil }

func (noEvents) HasReportedError(schema.GroupVersionKind, types.NamespacedName) error { return nil }
