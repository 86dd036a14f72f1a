// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	selfsigned "github.com/cert-manager/selfsigned-issuer/api/v1alpha1"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/certtext"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
)

// replaceDuration is how long objects are replaced at random.
func replaceDuration() time.Duration {
	if full() {
		return 20 * time.Second
	}
	return 4 * time.Second
}

// TestObjectsReplaced deletes, replaces and re-creates Secrets, the issuer and requests with the
// same names. Afterwards, each existing request gets its outcome.
func TestObjectsReplaced(t *testing.T) {
	underFault(t, 0, func(t *testing.T) {
		b := newNamespace(t)
		for i := range *requests {
			b.tracked = append(b.tracked, b.newSigned(t, i))
		}
		expect.NoError(t, b.create(t.Context(), 0))
		changes := 0
		for end := time.Now().Add(replaceDuration()); time.Now().Before(end); changes++ {
			expect.NoError(t, b.replaceSomething(t, b.tracked[rand.IntN(len(b.tracked))]))
		}
		expect.NoError(t, b.restore(t.Context()))
		t.Logf("settled %s after the last of %d changes", b.settle(t), changes)
	})
}

// replaceSomething changes one object that the request depends on, or the request itself.
func (b *burst) replaceSomething(t *testing.T, r *tracked) error {
	t.Helper()
	ctx := t.Context()
	switch rand.IntN(6) {
	case 0:
		return client.IgnoreNotFound(env.Client.Delete(ctx, r.secret.DeepCopy()))
	case 1:
		return ensureSecret(ctx, r.secret)
	case 2: // another key, as after a rotation by cert-manager
		other := r.secret.DeepCopy()
		other.Data["tls.key"] = encodeKey(t, pooledKey(t, r.index+1))
		return ensureSecret(ctx, other)
	case 3:
		return client.IgnoreNotFound(env.Client.Delete(ctx, b.newIssuer()))
	case 4:
		return createOnce(ctx, b.newIssuer())
	default: // another request with the same name and another key
		if err := client.IgnoreNotFound(env.Client.Delete(ctx, r.object)); err != nil {
			return err
		}
		r.key = pooledKey(t, rand.IntN(1000))
		r.secret.Data["tls.key"] = encodeKey(t, r.key)
		r.object = b.certificateRequest(t, r)
		return createOnce(ctx, r.object)
	}
}

// restore restores the dependencies of the existing requests.
func (b *burst) restore(ctx context.Context) error {
	for _, r := range b.tracked {
		if err := ensureSecret(ctx, r.secret); err != nil {
			return err
		}
	}
	return createOnce(ctx, b.newIssuer())
}

// ensureSecret creates or replaces a Secret.
func ensureSecret(ctx context.Context, secret *corev1.Secret) error {
	wanted := secret.DeepCopy()
	wanted.ResourceVersion = ""
	err := env.Client.Update(ctx, wanted)
	if apierrors.IsNotFound(err) {
		return createOnce(ctx, secret)
	}
	return err
}

// TestClusterIssuerFlapping changes the spec of a cluster issuer continuously: each certificate
// follows one version of it.
func TestClusterIssuerFlapping(t *testing.T) {
	underFault(t, 0, func(t *testing.T) {
		issuer := &selfsigned.ClusterSelfSignedIssuer{ObjectMeta: metav1.ObjectMeta{GenerateName: "flapping-"}}
		expect.NoError(t, env.Client.Create(t.Context(), issuer))
		b := newNamespace(t)
		for i := range *requests {
			r := b.newSigned(t, i)
			r.object.(*cmapi.CertificateRequest).Spec.IssuerRef = cmmeta.IssuerReference{Group: selfsigned.GroupName, Kind: "ClusterSelfSignedIssuer", Name: issuer.Name}
			b.tracked = append(b.tracked, r)
		}
		changes := 0
		b.storm(t, replaceDuration(), func() {
			for end := time.Now().Add(replaceDuration()); time.Now().Before(end); changes++ {
				flap(t, issuer, changes)
			}
		})
		t.Logf("settled %s after the last of %d changes", b.settle(t), changes)
		for _, r := range b.tracked {
			certificate, err := certtext.Parse(certificateOf(r.object))
			expect.NoError(t, err)
			points := certificate.CRLDistributionPoints
			if len(points) != 0 && (len(points) != 2 || points[0]+"/2" != points[1]) {
				t.Errorf("%s follows no version of the issuer: %q", r.name, points)
			}
		}
	})
}

func flap(t *testing.T, issuer *selfsigned.ClusterSelfSignedIssuer, change int) {
	t.Helper()
	point := fmt.Sprintf("http://example.com/%d", change)
	env.Change(t, issuer, func() { issuer.Spec.CRLDistributionPoints = []string{point, point + "/2"} })
}

// TestNamespaceDeleted deletes a namespace with its requests in flight; those of another one are
// not affected.
func TestNamespaceDeleted(t *testing.T) {
	underFault(t, time.Second, func(t *testing.T) {
		doomed := newBurst(t, *requests)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { _ = doomed.create(ctx, 0) }() // fails when the namespace is terminating
		pause(t, time.Second/4)
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: doomed.namespace}}
		expect.NoError(t, env.Client.Delete(t.Context(), namespace))
		cancel()
		env.Eventually(t, "deletion of the namespace", func(context.Context) error {
			err := env.Client.Get(t.Context(), client.ObjectKeyFromObject(namespace), namespace)
			if apierrors.IsNotFound(err) {
				return nil
			}
			return fmt.Errorf("the namespace is still there: %w", err)
		})
	})
}

// TestPermissionsRemoved removes and restores all permissions of the running process.
func TestPermissionsRemoved(t *testing.T) {
	underFault(t, time.Second, func(t *testing.T) { removePermissions(t, replaceDuration()/2) })
}

func removePermissions(t *testing.T, d time.Duration) {
	t.Helper()
	bindings := clusterRoleBindings(t)
	for _, binding := range bindings {
		expect.NoError(t, env.Client.Delete(t.Context(), binding.DeepCopy()))
	}
	pause(t, d)
	for _, binding := range bindings {
		expect.NoError(t, createOnce(t.Context(), binding))
	}
}

// clusterRoleBindings returns the ClusterRoleBindings of selfsigned-issuer's ServiceAccount.
func clusterRoleBindings(t *testing.T) []*rbacv1.ClusterRoleBinding {
	t.Helper()
	var bindings []*rbacv1.ClusterRoleBinding
	for _, object := range env.Installation.Objects {
		if object.GetKind() != "ClusterRoleBinding" {
			continue
		}
		binding := &rbacv1.ClusterRoleBinding{}
		expect.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, binding))
		if slices.ContainsFunc(binding.Subjects, func(s rbacv1.Subject) bool {
			return s.Namespace == env.Installation.Deployment.Namespace
		}) {
			bindings = append(bindings, binding)
		}
	}
	if len(bindings) == 0 {
		t.Fatal("the overlay binds no ClusterRole to selfsigned-issuer's ServiceAccount")
	}
	return bindings
}
