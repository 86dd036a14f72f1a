// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build clustertest

package cluster

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/issuer"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/repo"
)

// overlay is one of deploy/overlays, with its expected properties.
type overlay struct {
	name string
	// an administrator applies deploy/admin first
	apart bool
	// supports ClusterSelfSignedIssuers
	clusterKind bool
	replicas    int
	metrics     metrics
}

var overlays = []overlay{
	{name: "default", clusterKind: true, replicas: 1, metrics: open},
	{name: "production", clusterKind: true, replicas: 2, metrics: authenticated},
	{name: "namespaced", apart: true, replicas: 1, metrics: none},
}

// TestOverlay installs, uses and removes each overlay.
func TestOverlay(t *testing.T) {
	for _, o := range overlays {
		t.Run(o.name, func(t *testing.T) {
			before := inventory(t)
			i := install(t, o)
			t.Run("available", i.testAvailable)
			if t.Failed() {
				return // the other tests would fail too
			}
			t.Run("certificates", i.testCertificates)
			t.Run("metrics", i.testMetrics)
			t.Run("killed", i.testKilled)
			t.Run("rolling update", i.testRollingUpdate)
			t.Run("removal", func(t *testing.T) { i.testRemoval(t, before) })
		})
	}
}

// installation is an overlay in the cluster.
type installation struct {
	overlay
	// directory of a kustomization for the overlay with the tested image
	directory string
	// whether testRemoval has finished
	removed    bool
	deployment appsv1.Deployment
	// a namespace whose requests it serves
	namespace string
}

// install follows the overlay's comment, with the tested image. Remaining objects are removed when
// the test ends.
func install(t *testing.T, o overlay) *installation {
	t.Helper()
	path := "deploy/overlays/" + o.name
	i := &installation{overlay: o, namespace: "clustertest"}
	objects, err := issuer.Render(path)
	expect.NoError(t, err)
	for _, object := range objects {
		if object.GetKind() == "Deployment" {
			expect.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &i.deployment))
		}
	}
	if o.apart {
		i.namespace = "sandbox" // which the overlay selects
	}
	i.directory = withImage(t, path, i.deployment.Spec.Template.Spec.Containers[0].Image)
	t.Cleanup(func() { i.cleanUp(t) })
	env.Create(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: i.namespace}})
	for _, step := range i.steps() {
		run(t, "apply", "--server-side", "-k", step)
	}
	return i
}

// steps returns the kustomizations of the installation, in the order of deploy/README.md.
func (i *installation) steps() []string {
	if !i.apart {
		return []string{issuer.NamespaceStep, i.directory}
	}
	return []string{issuer.NamespaceStep, issuer.AdminStep, i.directory, i.served()}
}

// served is the step for the selected namespace.
func (i *installation) served() string {
	return "deploy/overlays/" + i.name + "/namespaces/" + i.namespace
}

// withImage writes a kustomization with another image.
func withImage(t *testing.T, path, old string) string {
	t.Helper()
	oldName, _ := nameAndTag(old)
	name, tag := nameAndTag(image)
	images := fmt.Sprintf("images: [{name: %q, newName: %q, newTag: %q}]\n", oldName, name, tag)
	return repo.Kustomization(t, "resources: [%q]\n"+images, path)
}

func nameAndTag(image string) (name, tag string) {
	colon := strings.LastIndex(image, ":")
	if colon < strings.LastIndex(image, "/") || colon < 0 { // the colon of a registry's port
		return image, "latest"
	}
	return image[:colon], image[colon+1:]
}

func (i *installation) cleanUp(t *testing.T) {
	if t.Failed() {
		show(t, "get", "all,events", "-n", i.deployment.Namespace, "-o", "wide")
		show(t, "logs", "-n", i.deployment.Namespace, "--prefix", "--tail=40", "-l", "app.kubernetes.io/name=selfsigned-issuer")
	}
	show(t, "delete", "namespace", i.namespace, "--ignore-not-found")
	if i.removed {
		return
	}
	for _, step := range slices.Backward(i.steps()) {
		show(t, "delete", "-k", step, "--ignore-not-found")
	}
}

// testAvailable expects all replicas, with the Pod Security Standard "restricted".
func (i *installation) testAvailable(t *testing.T) {
	env.Await(t, fmt.Sprintf("%d available replicas", i.replicas), &i.deployment, func() bool {
		s := i.deployment.Status
		return s.ObservedGeneration == i.deployment.Generation &&
			int(s.UpdatedReplicas) == i.replicas && int(s.AvailableReplicas) == i.replicas
	})
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: i.deployment.Namespace}}
	env.Get(t, namespace)
	expect.Equal(t, "enforced Pod security", "restricted", namespace.Labels["pod-security.kubernetes.io/enforce"])
	for _, pod := range i.pods(t) {
		expect.Equal(t, "image of Pod "+pod.Name, image, pod.Spec.Containers[0].Image)
	}
}

// pods returns the Pods of the Deployment, including terminating ones.
func (i *installation) pods(t *testing.T) []corev1.Pod {
	t.Helper()
	var list corev1.PodList
	env.List(t, &list, client.InNamespace(i.deployment.Namespace), client.MatchingLabels(i.deployment.Spec.Selector.MatchLabels))
	return list.Items
}
