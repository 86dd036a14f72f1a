// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package lifecycle has what tests do with an installation, however it was installed: run its
// program, issue a certificate, and stop it again.
package lifecycle

import (
	"context"
	"fmt"
	"testing"
	"time"

	cmutil "github.com/cert-manager/cert-manager/pkg/api/util"
	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	selfsigned "github.com/cert-manager/selfsigned-issuer/api/v1alpha1"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/environment"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/issuer"
)

// Namespace is where certificates are issued: the one that the overlay namespaced serves.
const Namespace = "sandbox"

const (
	timeout     = 3 * time.Minute
	stopTimeout = 10 * time.Second
)

// Environment is a control plane with cert-manager and, at times, one installation.
type Environment struct{ *environment.Environment }

// Start starts an environment without an installation. It ends with the test.
func Start(t *testing.T, options environment.Options) *Environment {
	t.Helper()
	options.Report, options.WithoutIssuer = t.Logf, true
	started, err := environment.Start(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			started.ControlPlane.MarkFailed()
		}
		if err := started.Stop(); err != nil {
			t.Error(err)
		}
	})
	e := &Environment{started}
	expect.Created(t, e.Client, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: Namespace}})
	return e
}

// Run starts the program of an installation, with further arguments, and waits until it is ready.
func (e *Environment) Run(t *testing.T, installed *issuer.Installation, args ...string) {
	t.Helper()
	var err error
	if e.Issuer, err = installed.Start(t.Context(), e.Binary, "selfsigned-issuer", args...); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	if err := e.Issuer.AwaitReady(ctx); err != nil {
		t.Fatal(err)
	}
}

// End stops the program.
func (e *Environment) End(t *testing.T) {
	t.Helper()
	if err := e.Issuer.Stop(stopTimeout); err != nil {
		t.Fatal(err)
	}
}

// Issue waits for a new certificate from the SelfSignedIssuer "issuer", which it creates if there
// is none.
func (e *Environment) Issue(t *testing.T) {
	t.Helper()
	issuer := &selfsigned.SelfSignedIssuer{ObjectMeta: metav1.ObjectMeta{Namespace: Namespace, Name: "issuer"}}
	if err := e.Client.Get(t.Context(), client.ObjectKeyFromObject(issuer), issuer); client.IgnoreNotFound(err) != nil {
		t.Fatal(err)
	} else if err != nil {
		expect.Created(t, e.Client, issuer)
	}
	certificate := &cmapi.Certificate{
		ObjectMeta: metav1.ObjectMeta{Namespace: Namespace, GenerateName: "certificate-"},
		Spec: cmapi.CertificateSpec{
			CommonName: "example.com", SecretName: fmt.Sprintf("tls-%d", time.Now().UnixNano()),
			PrivateKey: &cmapi.CertificatePrivateKey{Algorithm: cmapi.ECDSAKeyAlgorithm},
			IssuerRef:  cmmeta.IssuerReference{Group: selfsigned.GroupName, Kind: "SelfSignedIssuer", Name: issuer.Name},
		},
	}
	expect.Created(t, e.Client, certificate)
	e.Await(t, "a certificate", func() string {
		expect.There(t, e.Client, certificate)
		if cmutil.CertificateHasCondition(certificate, cmapi.CertificateCondition{Type: cmapi.CertificateConditionReady, Status: cmmeta.ConditionTrue}) {
			return ""
		}
		return fmt.Sprintf("not Ready: %+v", certificate.Status)
	})
}

// ExpectIssuer expects the issuer that Issue has created.
func (e *Environment) ExpectIssuer(t *testing.T) {
	t.Helper()
	expect.There(t, e.Client, &selfsigned.SelfSignedIssuer{ObjectMeta: metav1.ObjectMeta{Namespace: Namespace, Name: "issuer"}})
}

// Await polls until done returns an empty string; otherwise it fails with what it returned.
func (e *Environment) Await(t *testing.T, what string, done func() string) {
	t.Helper()
	expect.Soon(t, what, timeout, func() string {
		if e.Issuer == nil {
			return ""
		}
		return "log:\n" + e.Issuer.Tail(15)
	}, func(context.Context) string { return done() })
}
