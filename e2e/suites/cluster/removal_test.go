// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build clustertest

package cluster

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/issuer"
)

// keepIssuers is the selector in docs/upgrade.md that keeps the issuers.
const keepIssuers = "!selfsigned.cert-manager.io/crds"

// crds are kept with the issuers.
var crds = []string{
	// Kubernetes creates it for their group.
	"apiservices.apiregistration.k8s.io /v1alpha1.selfsigned.cert-manager.io",
	"customresourcedefinitions.apiextensions.k8s.io /clusterselfsignedissuers.selfsigned.cert-manager.io",
	"customresourcedefinitions.apiextensions.k8s.io /selfsignedissuers.selfsigned.cert-manager.io",
}

// testRemoval removes the overlay as docs/upgrade.md says, first without the issuers, then with them.
func (i *installation) testRemoval(t *testing.T, before []string) {
	// Secrets with certificates are kept, and have the name of their issuer.
	secrets := []string{"secrets " + i.namespace + "/root"}
	issuers := []string{"selfsignedissuers.selfsigned.cert-manager.io " + i.namespace + "/" + issuerName}
	if i.clusterKind {
		secrets = append(secrets, "secrets "+i.namespace+"/cluster-root")
		issuers = append(issuers, "clusterselfsignedissuers.selfsigned.cert-manager.io /"+issuerName)
	}
	remaining := i.directory
	if i.apart {
		run(t, "delete", "-k", i.served())
		run(t, "delete", "-k", i.directory)
		awaitInventory(t, "after the overlay", before, secrets, issuers, i.ofNamespace(), i.administrators(t))
		remaining = issuer.AdminStep
	}
	run(t, "delete", "-k", remaining, "-l", keepIssuers)
	awaitInventory(t, "without the issuers", before, secrets, issuers, i.ofNamespace(), crds)
	run(t, "delete", "-k", remaining, "--ignore-not-found")
	awaitInventory(t, "with the issuers", before, secrets, i.ofNamespace())
	run(t, "delete", "-k", issuer.NamespaceStep)
	awaitInventory(t, "with the namespace", before, secrets)
	i.removed = true
}

// ofNamespace lists the namespace and the objects in it that are not in the overlay.
func (i *installation) ofNamespace() []string {
	namespace := i.deployment.Namespace
	left := []string{
		"namespaces /" + namespace,
		"configmaps " + namespace + "/kube-root-ca.crt",
		"serviceaccounts " + namespace + "/default",
		"leases.coordination.k8s.io " + namespace + "/selfsigned-issuer.selfsigned.cert-manager.io",
	}
	if i.metrics == authenticated {
		for _, secret := range []string{"ca", "tls", "client"} {
			left = append(left, "secrets "+namespace+"/selfsigned-issuer-metrics-"+secret)
		}
	}
	return left
}

// administrators lists the objects of deploy/admin.
func (i *installation) administrators(t *testing.T) []string {
	t.Helper()
	left := []string{crds[0]}
	objects, err := issuer.Render(issuer.AdminStep)
	expect.NoError(t, err)
	for _, object := range objects {
		mapping, err := env.Client.RESTMapper().RESTMapping(object.GroupVersionKind().GroupKind())
		expect.NoError(t, err)
		left = append(left, entry(mapping.Resource, object.GetNamespace(), object.GetName()))
	}
	return left
}

// awaitInventory waits until the inventory has exactly the wanted objects and those from before.
func awaitInventory(t *testing.T, when string, before []string, wanted ...[]string) {
	t.Helper()
	want := slices.Concat(append(wanted, before)...)
	slices.Sort(want)
	env.Eventually(t, when, func(context.Context) error { return expect.NoDiff(want, inventory(t)) })
}

// inventory lists all objects whose name, namespace, kind, label or annotation refers to
// selfsigned-issuer, except for events.
func inventory(t *testing.T) []string {
	t.Helper()
	config := rest.CopyConfig(env.ControlPlane.AdminConfig())
	config.QPS = -1
	config.WarningHandler = rest.NoWarnings{} // about deprecated kinds
	kinds, err := discovery.NewDiscoveryClientForConfigOrDie(config).ServerPreferredResources()
	expect.NoError(t, err)
	client := metadata.NewForConfigOrDie(config)
	var found []string
	for _, group := range kinds {
		version, err := schema.ParseGroupVersion(group.GroupVersion)
		expect.NoError(t, err)
		for _, kind := range group.APIResources {
			if kind.Name == "events" || !slices.Contains(kind.Verbs, "list") {
				continue
			}
			resource := version.WithResource(kind.Name)
			list, err := client.Resource(resource).List(t.Context(), metav1.ListOptions{})
			if err != nil {
				t.Fatalf("listing %s: %v", resource, err)
			}
			for _, object := range list.Items {
				if name := entry(resource, object.Namespace, object.Name); isOurs(t, name, object) {
					found = append(found, name)
				}
			}
		}
	}
	slices.Sort(found)
	return found
}

func entry(resource schema.GroupVersionResource, namespace, name string) string {
	return resource.GroupResource().String() + " " + namespace + "/" + name
}

func isOurs(t *testing.T, name string, object metav1.PartialObjectMetadata) bool {
	t.Helper()
	object.ManagedFields = nil
	text, err := json.Marshal(object.ObjectMeta)
	expect.NoError(t, err)
	return strings.Contains(name+string(text), "selfsigned")
}
