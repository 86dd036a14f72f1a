// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package manifests checks the rendered manifests in deploy/.
package manifests

import (
	"fmt"
	"path/filepath"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/environment"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/issuer"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/repo"
)

const (
	name      = "selfsigned-issuer"
	namespace = "selfsigned-issuer-system"

	metricsService = "selfsigned-issuer-metrics"
	metricsSecret  = "selfsigned-issuer-metrics-tls"
	metricsReader  = "ClusterRole/selfsigned-issuer-metrics-reader"

	kubernetesCSR    = "deploy/examples/kubernetes-csr"
	otherCertManager = "deploy/examples/other-cert-manager"
	adjusted         = "deploy/examples/adjusted"
	noSecretWatch    = "e2e/suites/testdata/no-secret-watch"
	noApproverRole   = "e2e/suites/testdata/no-approver-role"
	metricsTLS       = "e2e/suites/testdata/metrics-tls"
)

// installations are all kustomizations that can be installed unchanged.
var installations = []string{
	issuer.DefaultOverlay, issuer.ProductionOverlay, issuer.NamespacedOverlay, issuer.DevelopmentOverlay,
	kubernetesCSR, otherCertManager, adjusted, noSecretWatch, metricsTLS,
}

// rendered are the objects of an installation as Go types, by kind and name.
type rendered map[string]runtime.Object

// renderings is a cache, because rendering is slow.
var renderings = map[string][]*unstructured.Unstructured{}

func mustRender(t *testing.T, kustomization string) []*unstructured.Unstructured {
	t.Helper()
	if renderings[kustomization] == nil {
		objects, err := issuer.Render(kustomization)
		expect.NoError(t, err)
		renderings[kustomization] = objects
	}
	return renderings[kustomization]
}

// render returns the objects of all steps of an installation.
func render(t *testing.T, installation string) rendered {
	t.Helper()
	var all []*unstructured.Unstructured
	for _, step := range steps(t, installation) {
		all = append(all, mustRender(t, step)...)
	}
	return index(t, installation, all)
}

func index(t *testing.T, installation string, objects []*unstructured.Unstructured) rendered {
	t.Helper()
	result := rendered{}
	for _, object := range objects {
		id := object.GetKind() + "/" + object.GetName()
		if result[id] != nil {
			t.Fatalf("%s renders %s twice", installation, id)
		}
		result[id] = decode(t, object)
	}
	return result
}

func steps(t *testing.T, installation string) []string {
	t.Helper()
	steps, err := issuer.Steps(installation)
	expect.NoError(t, err)
	return steps
}

// decoder rejects unknown and duplicate fields.
var decoder = serializer.NewCodecFactory(environment.Scheme(), serializer.EnableStrict).UniversalDeserializer()

// decode returns the object as a Go type. Kinds of the Prometheus operator have no Go type here: the
// API server validates them in TestPermissions.
func decode(t *testing.T, object *unstructured.Unstructured) runtime.Object {
	t.Helper()
	data, err := object.MarshalJSON()
	expect.NoError(t, err)
	typed, _, err := decoder.Decode(data, nil, nil)
	if runtime.IsNotRegisteredError(err) && object.GroupVersionKind().Group == "monitoring.coreos.com" {
		return object
	}
	if err != nil {
		t.Fatalf("%s %s: %v", object.GetKind(), object.GetName(), err)
	}
	return typed
}

// get returns an object of a known type.
func get[T runtime.Object](t *testing.T, objects rendered, id string) T {
	t.Helper()
	object, ok := objects[id].(T)
	if !ok {
		t.Fatalf("no %s", id)
	}
	return object
}

func deployment(t *testing.T, objects rendered) *appsv1.Deployment {
	t.Helper()
	return get[*appsv1.Deployment](t, objects, "Deployment/"+name)
}

func container(t *testing.T, objects rendered) corev1.Container {
	t.Helper()
	containers := deployment(t, objects).Spec.Template.Spec.Containers
	if len(containers) != 1 {
		t.Fatalf("the Deployment has %d containers, want 1", len(containers))
	}
	return containers[0]
}

// rules returns the rules of all roles, by kind and name.
func rules(objects rendered) map[string][]rbacv1.PolicyRule {
	result := map[string][]rbacv1.PolicyRule{}
	for id, object := range objects {
		switch role := object.(type) {
		case *rbacv1.ClusterRole:
			result[id] = role.Rules
		case *rbacv1.Role:
			result[id] = role.Rules
		}
	}
	return result
}

// permissions returns the rules of all roles as readable lines.
func permissions(objects rendered) map[string][]string {
	lines := map[string][]string{}
	for id, list := range rules(objects) {
		lines[id] = ruleLines(list)
	}
	return lines
}

// binding has the common fields of RoleBinding and ClusterRoleBinding.
type binding struct {
	role     rbacv1.RoleRef
	subjects []rbacv1.Subject
}

func bindings(objects rendered) map[string]binding {
	result := map[string]binding{}
	for id, object := range objects {
		switch b := object.(type) {
		case *rbacv1.ClusterRoleBinding:
			result[id] = binding{b.RoleRef, b.Subjects}
		case *rbacv1.RoleBinding:
			result[id] = binding{b.RoleRef, b.Subjects}
		}
	}
	return result
}

// list returns the files of the repository that match a pattern.
func list(t *testing.T, pattern string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(repo.Root(t), pattern))
	if err != nil || len(found) == 0 {
		t.Fatalf("no file matches %s (%v)", pattern, err)
	}
	var paths []string
	for _, file := range found {
		path, err := filepath.Rel(repo.Root(t), file)
		expect.NoError(t, err)
		paths = append(paths, path)
	}
	return paths
}

// forEach runs a test for every installation.
func forEach(t *testing.T, test func(t *testing.T, objects rendered)) {
	t.Helper()
	for _, installation := range installations {
		t.Run(filepath.Base(installation), func(t *testing.T) { test(t, render(t, installation)) })
	}
}

// ruleLines returns rules as readable lines: group/resource[names] verbs.
func ruleLines(rules []rbacv1.PolicyRule) []string {
	var lines []string
	for _, rule := range rules {
		for _, url := range rule.NonResourceURLs {
			lines = append(lines, fmt.Sprintf("%s %s", url, rule.Verbs))
		}
		for _, group := range rule.APIGroups {
			for _, resource := range rule.Resources {
				names := ""
				if len(rule.ResourceNames) > 0 {
					names = fmt.Sprint(rule.ResourceNames)
				}
				lines = append(lines, fmt.Sprintf("%s/%s%s %s", group, resource, names, rule.Verbs))
			}
		}
	}
	return lines
}
