// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package testenv has what suites do with an environment: start and stop it, create, read and await
// objects, and use an installation, however it was installed.
package testenv

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	cmutil "github.com/cert-manager/cert-manager/pkg/api/util"
	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	selfsigned "github.com/cert-manager/selfsigned-issuer/api/v1alpha1"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/build"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/environment"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/issuer"
)

// Namespace is where certificates are issued: the one that the overlay namespaced serves.
const Namespace = "sandbox"

const (
	// defaultTimeout allows for slow machines.
	defaultTimeout = 3 * time.Minute
	stopTimeout    = 10 * time.Second
)

// Environment is an environment in tests.
type Environment struct {
	*environment.Environment
	// Timeout is that of Eventually; 0: three minutes.
	Timeout time.Duration
}

// Start starts an environment that ends with the test.
func Start(t *testing.T, options environment.Options) *Environment {
	t.Helper()
	options.Report = t.Logf
	started, err := environment.Start(t.Context(), options)
	expect.NoError(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			started.ControlPlane.MarkFailed()
		}
		if err := started.Stop(); err != nil {
			t.Error(err)
		}
	})
	return &Environment{Environment: started}
}

// RunSuite starts the environment of a suite, runs its tests, stops the environment, and returns the
// exit code.
func RunSuite(m *testing.M, start func(context.Context, build.Reporter) (*environment.Environment, error)) (code int) {
	begin := time.Now()
	report := func(format string, args ...any) {
		fmt.Printf("[%5.1fs] %s\n", time.Since(begin).Seconds(), fmt.Sprintf(format, args...))
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	env, err := start(ctx, report)
	if env != nil {
		defer func() {
			if code != 0 {
				env.ControlPlane.MarkFailed()
			}
			if err := env.Stop(); err != nil {
				fmt.Fprintln(os.Stderr, err)
				code = 1
			}
		}()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "the environment did not start:", err)
		return 1
	}
	report("the environment is ready")
	return m.Run()
}

// Create creates an object.
func (e *Environment) Create(t *testing.T, object client.Object) {
	t.Helper()
	expect.Create(t, e.Client, object)
}

// CreateNamespace creates a namespace.
func (e *Environment) CreateNamespace(t *testing.T, name string) {
	t.Helper()
	e.Create(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})
}

// Get reads an object.
func (e *Environment) Get(t *testing.T, object client.Object) {
	t.Helper()
	expect.Get(t, e.Client, object)
}

func (e *Environment) get(ctx context.Context, object client.Object) error {
	return e.Client.Get(ctx, client.ObjectKeyFromObject(object), object)
}

// List lists objects.
func (e *Environment) List(t *testing.T, list client.ObjectList, options ...client.ListOption) {
	t.Helper()
	expect.NoError(t, e.Client.List(t.Context(), list, options...))
}

// Update updates an object.
func (e *Environment) Update(t *testing.T, object client.Object) {
	t.Helper()
	expect.NoError(t, e.Client.Update(t.Context(), object))
}

// Delete deletes an object.
func (e *Environment) Delete(t *testing.T, object client.Object) {
	t.Helper()
	expect.NoError(t, e.Client.Delete(t.Context(), object))
}

// Change reads an object, edits it, and updates it. Conflicts are retried.
func (e *Environment) Change(t *testing.T, object client.Object, edit func()) {
	t.Helper()
	e.change(t, object, edit, func(ctx context.Context) error { return e.Client.Update(ctx, object) })
}

// ChangeStatus does the same with the status.
func (e *Environment) ChangeStatus(t *testing.T, object client.Object, edit func()) {
	t.Helper()
	e.change(t, object, edit, func(ctx context.Context) error { return e.Client.Status().Update(ctx, object) })
}

func (e *Environment) change(t *testing.T, object client.Object, edit func(), write func(context.Context) error) {
	t.Helper()
	e.Eventually(t, "changing "+object.GetName(), func(ctx context.Context) error {
		if err := e.get(ctx, object); err != nil {
			return err
		}
		edit()
		return write(ctx)
	})
}

// Await reads an object until the condition is true. Otherwise, the test fails with the status of the
// object.
func (e *Environment) Await(t *testing.T, what string, object client.Object, condition func() bool) {
	t.Helper()
	e.Eventually(t, what, func(ctx context.Context) error {
		if err := e.get(ctx, object); err != nil {
			return err
		}
		if condition() {
			return nil
		}
		content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
		return errors.Join(err, fmt.Errorf("%s %s: %v", object.GetNamespace(), object.GetName(), content["status"]))
	})
}

// Eventually waits until check returns nil. Otherwise the test fails with its last error and the end of
// the log of selfsigned-issuer.
func (e *Environment) Eventually(t *testing.T, what string, check func(context.Context) error) {
	t.Helper()
	err := expect.Poll(t.Context(), cmp.Or(e.Timeout, defaultTimeout), check)
	if err != nil && e.Issuer != nil {
		t.Fatalf("%s: %v\nlog of selfsigned-issuer:\n%s", what, err, e.Issuer.Tail(15))
	} else if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// Run starts the program of an installation, with further arguments, and waits until it is ready.
func (e *Environment) Run(t *testing.T, installed *issuer.Installation, args ...string) {
	t.Helper()
	var err error
	e.Issuer, err = installed.Start(t.Context(), e.Binary, "selfsigned-issuer", args...)
	expect.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), defaultTimeout)
	defer cancel()
	expect.NoError(t, e.Issuer.AwaitReady(ctx))
}

// End stops the program.
func (e *Environment) End(t *testing.T) {
	t.Helper()
	expect.NoError(t, e.Issuer.Stop(stopTimeout))
}

// Issue waits for a new certificate from the SelfSignedIssuer "issuer", which it creates if there
// is none.
func (e *Environment) Issue(t *testing.T) {
	t.Helper()
	issuer := &selfsigned.SelfSignedIssuer{ObjectMeta: metav1.ObjectMeta{Namespace: Namespace, Name: "issuer"}}
	if err := e.Client.Get(t.Context(), client.ObjectKeyFromObject(issuer), issuer); client.IgnoreNotFound(err) != nil {
		t.Fatal(err)
	} else if err != nil {
		e.Create(t, issuer)
	}
	certificate := &cmapi.Certificate{
		ObjectMeta: metav1.ObjectMeta{Namespace: Namespace, GenerateName: "certificate-"},
		Spec: cmapi.CertificateSpec{
			CommonName: "example.com", SecretName: fmt.Sprintf("tls-%d", time.Now().UnixNano()),
			PrivateKey: &cmapi.CertificatePrivateKey{Algorithm: cmapi.ECDSAKeyAlgorithm},
			IssuerRef:  cmmeta.IssuerReference{Group: selfsigned.GroupName, Kind: "SelfSignedIssuer", Name: issuer.Name},
		},
	}
	e.CreateCertificate(t, certificate)
}

// CreateCertificate creates a Certificate, waits until it is Ready, and returns its Secret.
func (e *Environment) CreateCertificate(t *testing.T, certificate *cmapi.Certificate) *corev1.Secret {
	t.Helper()
	e.Create(t, certificate)
	e.Await(t, "a certificate", certificate, func() bool {
		return cmutil.CertificateHasCondition(certificate, cmapi.CertificateCondition{
			Type: cmapi.CertificateConditionReady, Status: cmmeta.ConditionTrue,
		})
	})
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: certificate.Namespace, Name: certificate.Spec.SecretName}}
	e.Get(t, secret)
	return secret
}

// Renew renews a Certificate like "cmctl renew".
func (e *Environment) Renew(t *testing.T, certificate *cmapi.Certificate) {
	t.Helper()
	e.ChangeStatus(t, certificate, func() {
		cmutil.SetCertificateCondition(certificate, certificate.Generation, cmapi.CertificateConditionIssuing,
			cmmeta.ConditionTrue, "ManuallyTriggered", "by a test")
	})
}

// ExpectIssuer expects the issuer that Issue has created.
func (e *Environment) ExpectIssuer(t *testing.T) {
	t.Helper()
	e.Get(t, &selfsigned.SelfSignedIssuer{ObjectMeta: metav1.ObjectMeta{Namespace: Namespace, Name: "issuer"}})
}

// ExpectRemoved expects that only the objects of the given kinds still exist.
func (e *Environment) ExpectRemoved(t *testing.T, objects []*unstructured.Unstructured, except ...string) {
	t.Helper()
	for _, object := range objects {
		err := e.Client.Get(t.Context(), client.ObjectKeyFromObject(object), object.DeepCopy())
		if kind := object.GetKind(); slices.Contains(except, kind) {
			expect.True(t, err == nil, "%s %s was removed: %v", kind, object.GetName(), err)
		} else {
			expect.True(t, apierrors.IsNotFound(err), "%s %s is still there: %v", kind, object.GetName(), err)
		}
	}
}
