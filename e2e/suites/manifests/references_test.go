// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
)

// references checks the references between rendered objects.
type references struct {
	*testing.T
	objects map[string]runtime.Object // by kind/namespace/name
}

// newReferences indexes the objects of all steps of an installation.
func newReferences(t *testing.T, objects []*unstructured.Unstructured) *references {
	t.Helper()
	r := &references{t, map[string]runtime.Object{}}
	for _, object := range objects {
		id := object.GetKind() + "/" + object.GetNamespace() + "/" + object.GetName()
		expect.True(t, r.objects[id] == nil, "%s is rendered twice", id)
		r.objects[id] = decode(t, object)
	}
	return r
}

// external are accounts of other products.
var external = []string{"ServiceAccount/cert-manager/cert-manager", "ServiceAccount/my-namespace/my-cert-manager"}

func (r *references) check() {
	r.Helper()
	for _, id := range slices.Sorted(maps.Keys(r.objects)) {
		switch o := r.objects[id].(type) {
		case *rbacv1.ClusterRoleBinding:
			r.checkBinding(id, "", o.RoleRef, o.Subjects)
		case *rbacv1.RoleBinding:
			r.checkBinding(id, o.Namespace, o.RoleRef, o.Subjects)
		case *appsv1.Deployment:
			r.checkDeployment(id, o)
		case *corev1.Service:
			r.checkSelectsPods(id, o.Namespace, &metav1.LabelSelector{MatchLabels: o.Spec.Selector})
		case *corev1.Secret:
			r.want(id, "ServiceAccount/"+o.Namespace+"/"+o.Annotations[corev1.ServiceAccountNameKey])
		case *policyv1.PodDisruptionBudget:
			r.checkSelectsPods(id, o.Namespace, o.Spec.Selector)
		case *networkingv1.NetworkPolicy:
			r.checkSelectsPods(id, o.Namespace, &o.Spec.PodSelector)
		case *cmapi.Certificate:
			r.want(id, o.Spec.IssuerRef.Kind+"/"+o.Namespace+"/"+o.Spec.IssuerRef.Name)
		case *cmapi.Issuer:
			if o.Spec.CA != nil {
				r.wantSecret(id, o.Namespace, o.Spec.CA.SecretName)
			}
		case *unstructured.Unstructured:
			if o.GetKind() == "ServiceMonitor" {
				r.checkMonitor(id, o)
			}
		}
	}
}

func (r *references) want(from, id string) {
	r.Helper()
	there := r.objects[id] != nil || slices.Contains(external, id)
	expect.True(r.T, there, "%s refers to %s, which does not exist", from, id)
}

// wantSecret expects a rendered Secret, or a Certificate for it.
func (r *references) wantSecret(from, namespace, secret string) {
	r.Helper()
	there := r.objects["Secret/"+namespace+"/"+secret] != nil || r.certificateOf(namespace, secret) != nil
	expect.True(r.T, there, "%s refers to Secret %s/%s, which does not exist", from, namespace, secret)
}

func (r *references) certificateOf(namespace, secret string) *cmapi.Certificate {
	for _, object := range r.objects {
		if c, ok := object.(*cmapi.Certificate); ok && c.Namespace == namespace && c.Spec.SecretName == secret {
			return c
		}
	}
	return nil
}

func (r *references) checkBinding(id, namespace string, role rbacv1.RoleRef, subjects []rbacv1.Subject) {
	r.Helper()
	if role.Kind == "ClusterRole" {
		namespace = ""
	}
	r.want(id, role.Kind+"/"+namespace+"/"+role.Name)
	for _, subject := range subjects {
		r.want(id, subject.Kind+"/"+subject.Namespace+"/"+subject.Name)
	}
}

func (r *references) checkDeployment(id string, d *appsv1.Deployment) {
	r.Helper()
	spec := d.Spec.Template.Spec
	r.want(id, "ServiceAccount/"+d.Namespace+"/"+spec.ServiceAccountName)
	for _, volume := range spec.Volumes {
		r.wantSecret(id, d.Namespace, volume.Secret.SecretName)
	}
	r.checkSelectsPods(id, d.Namespace, d.Spec.Selector)
	for _, constraint := range spec.TopologySpreadConstraints {
		r.checkSelectsPods(id, d.Namespace, constraint.LabelSelector)
	}
}

// checkSelectsPods expects that a selector selects the Pods of the namespace's Deployment.
func (r *references) checkSelectsPods(id, namespace string, selector *metav1.LabelSelector) {
	r.Helper()
	s, err := metav1.LabelSelectorAsSelector(selector)
	d := r.deployment()
	expect.NoError(r.T, err)
	expect.True(r.T, !s.Empty() && d.Namespace == namespace && s.Matches(labels.Set(d.Spec.Template.Labels)),
		"%s selects %v in %s, not the Pods %v in %s", id, selector, namespace, d.Spec.Template.Labels, d.Namespace)
}

func (r *references) deployment() *appsv1.Deployment {
	r.Helper()
	for _, object := range r.objects {
		if d, ok := object.(*appsv1.Deployment); ok {
			return d
		}
	}
	r.Fatal("no Deployment")
	return nil
}

// monitorEndpoint has the references in a ServiceMonitor's endpoint.
type monitorEndpoint struct {
	Scheme          string
	BearerTokenFile string
	Authorization   struct {
		CredentialsFile string
		Credentials     *corev1.SecretKeySelector
	}
	TLSConfig *struct {
		ServerName                string
		CAFile, CertFile, KeyFile string
		CA, Cert                  struct{ Secret *corev1.SecretKeySelector }
		KeySecret                 *corev1.SecretKeySelector
	}
}

// checkMonitor checks the Service, the Secrets and the server name of a ServiceMonitor.
func (r *references) checkMonitor(id string, monitor *unstructured.Unstructured) {
	r.Helper()
	var spec struct {
		Selector  metav1.LabelSelector
		Endpoints []monitorEndpoint
	}
	text, err := json.Marshal(monitor.Object["spec"])
	expect.NoError(r.T, err)
	expect.NoError(r.T, json.Unmarshal(text, &spec))
	selector, err := metav1.LabelSelectorAsSelector(&spec.Selector)
	expect.NoError(r.T, err)
	services := 0
	for _, object := range r.objects {
		if s, ok := object.(*corev1.Service); ok && s.Namespace == monitor.GetNamespace() && !selector.Empty() && selector.Matches(labels.Set(s.Labels)) {
			services++
		}
	}
	expect.Equal(r.T, id+": number of selected Services", 1, services)
	for _, endpoint := range spec.Endpoints {
		r.checkEndpoint(id, monitor.GetNamespace(), endpoint)
	}
}

func (r *references) checkEndpoint(id, namespace string, endpoint monitorEndpoint) {
	r.Helper()
	secure := slices.Contains(r.deployment().Spec.Template.Spec.Containers[0].Args, "--metrics-secure")
	expect.Equal(r.T, id+": scheme", map[bool]string{true: "https", false: "http"}[secure], endpoint.Scheme)
	if c := endpoint.Authorization.Credentials; c != nil {
		r.wantSecret(id, namespace, c.Name)
	}
	files := endpoint.BearerTokenFile + endpoint.Authorization.CredentialsFile
	if tls := endpoint.TLSConfig; tls != nil {
		files += tls.CAFile + tls.CertFile + tls.KeyFile
		for _, secret := range []*corev1.SecretKeySelector{tls.CA.Secret, tls.Cert.Secret, tls.KeySecret} {
			if secret != nil {
				r.wantSecret(id, namespace, secret.Name)
			}
		}
		served := r.certificateOf(namespace, metricsSecret)
		expect.True(r.T, served != nil && slices.Contains(served.Spec.DNSNames, tls.ServerName),
			"%s expects the server name %s, but no served certificate has it", id, tls.ServerName)
	}
	expect.True(r.T, files == "", "%s uses the file %s, which OpenShift rejects", id, files)
}
