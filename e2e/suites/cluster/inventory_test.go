// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build clustertest

package cluster

import (
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
)

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
