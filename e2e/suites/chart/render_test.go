// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/repo"
)

func parse(t *testing.T, text string) map[string]any {
	t.Helper()
	values := map[string]any{}
	expect.NoError(t, yaml.UnmarshalStrict([]byte(text), &values))
	return values
}

func TestImage(t *testing.T) {
	const digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	for values, want := range map[string]string{
		"{}": "ghcr.io/cert-manager/selfsigned-issuer:" + parse(t, repo.Read(t, directory+"/Chart.yaml"))["appVersion"].(string),
		"image: {registry: 'registry.example.com:5000', tag: v1.2.3}":           "registry.example.com:5000/cert-manager/selfsigned-issuer:v1.2.3",
		"image: {repository: mirror/issuer, tag: v1, digest: '" + digest + "'}": "ghcr.io/mirror/issuer@" + digest,
	} {
		expect.Equal(t, values+": image", want, container(t, render(t, parse(t, values))).Image)
	}
}

// TestPod sets every value for Pods.
func TestPod(t *testing.T) {
	pods := deployment(t, render(t, parse(t, `
replicaCount: 3
imagePullSecrets: [{name: pull}]
commonLabels: {team: pki}
podLabels: {pod: label}
podAnnotations: {pod: annotation}
resources: {limits: {memory: 1Gi}}
nodeSelector: {disk: ssd}
tolerations: [{key: pki, operator: Exists}]
affinity: {nodeAffinity: {}}
priorityClassName: system-cluster-critical
securityContext: {runAsUser: 1000}
containerSecurityContext: {privileged: false}
serviceAccount: {create: false, name: mine}
extraArgs: [--log-level=4]
extraEnv: [{name: GOMEMLIMIT, value: 800MiB}, {name: HTTPS_PROXY, value: 'http://proxy'}]
`)))
	spec, c := pods.Spec.Template.Spec, pods.Spec.Template.Spec.Containers[0]
	var env []string
	for _, variable := range c.Env {
		env = append(env, variable.Name+"="+variable.Value)
	}
	for _, test := range []struct {
		what      string
		got, want any
	}{
		{"replicas", *pods.Spec.Replicas, int32(3)},
		{"pull secrets", spec.ImagePullSecrets, []corev1.LocalObjectReference{{Name: "pull"}}},
		{"common label", pods.Spec.Template.Labels["team"] + pods.Labels["team"], "pkipki"},
		{"label", pods.Spec.Template.Labels["pod"], "label"},
		{"annotation", pods.Spec.Template.Annotations["pod"], "annotation"},
		{"memory", c.Resources.Limits.Memory().String(), "1Gi"},
		{"node selector", spec.NodeSelector, map[string]string{"disk": "ssd", "kubernetes.io/os": "linux"}},
		{"tolerations", spec.Tolerations, []corev1.Toleration{{Key: "pki", Operator: "Exists"}}},
		{"affinity", spec.Affinity, &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{}}},
		{"priority class", spec.PriorityClassName, "system-cluster-critical"},
		{"user", *spec.SecurityContext.RunAsUser, int64(1000)},
		{"privileged", *c.SecurityContext.Privileged, false},
		{"account", spec.ServiceAccountName, "mine"},
		{"last argument", c.Args[len(c.Args)-1], "--log-level=4"},
		{"environment", env, []string{"POD_NAMESPACE=", "GOGC=50", "GOMEMLIMIT=800MiB", "HTTPS_PROXY=http://proxy"}},
		{"selector", pods.Spec.Selector.MatchLabels, map[string]string{"app.kubernetes.io/name": name, "app.kubernetes.io/component": "controller"}},
	} {
		expect.Equal(t, test.what, test.want, test.got)
	}
}

// TestNames sets the name and the namespace of all objects that can have others.
func TestNames(t *testing.T) {
	objects := render(t, parse(t, "{namespace: pki, fullnameOverride: roots, nameOverride: issuer, app: {namespaces: [a, b]}}"))
	var got []string
	for _, object := range objects {
		if kind := object.GetKind(); kind != "CustomResourceDefinition" {
			got = append(got, kind+" "+object.GetNamespace()+"/"+object.GetName()+" "+object.GetLabels()["app.kubernetes.io/name"])
		}
	}
	slices.Sort(got)
	want := []string{
		"ClusterRole /cert-manager-controller-approve:selfsigned-cert-manager-io issuer",
		"ClusterRole /roots-edit issuer",
		"ClusterRole /roots-view issuer",
		"ClusterRoleBinding /cert-manager-controller-approve:selfsigned-cert-manager-io issuer",
		"Deployment pki/roots issuer",
		"Role a/roots-manager issuer",
		"Role b/roots-manager issuer",
		"Role pki/roots-leader-election issuer",
		"RoleBinding a/roots-manager issuer",
		"RoleBinding b/roots-manager issuer",
		"RoleBinding pki/roots-leader-election issuer",
		"Service pki/roots-metrics issuer",
		"ServiceAccount pki/roots issuer",
	}
	expect.Equal(t, "objects", want, got)
}

// TestWithoutAdministrator expects that all objects are in namespaces.
func TestWithoutAdministrator(t *testing.T) {
	for _, object := range render(t, parse(t, "{crds: {enabled: false}, approverRole: {enabled: false}, rbac: {aggregateClusterRoles: false}, app: {namespaces: [a]}}")) {
		expect.True(t, object.GetNamespace() != "", "%s %s is cluster-scoped", object.GetKind(), object.GetName())
	}
}

func TestCRDsAreNotKept(t *testing.T) {
	for _, object := range render(t, parse(t, "crds: {keep: false}")) {
		for _, annotation := range []string{"helm.sh/resource-policy", "argocd.argoproj.io/sync-options", "kustomize.toolkit.fluxcd.io/prune"} {
			_, kept := object.GetAnnotations()[annotation]
			expect.True(t, !kept, "%s %s has the annotation %s", object.GetKind(), object.GetName(), annotation)
		}
	}
}
